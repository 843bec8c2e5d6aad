/** The charts of a laboratory: each measure of a run over gradient steps, the committed scores behind the live ones. */

import { colour, ghost } from "./algorithms.js";
import { Chart } from "./chart.js";
import { element, power } from "./dom.js";

const MEASURES = {
  score: { title: "Score", range: [-15, 115], marks: [100] },
  scale: { title: "Scale", marks: [1] },
  learningRate: { title: "Learning rate", log: true },
  bellmanError: { title: "Bellman error", log: true },
};

export class Measures {
  /** shown: names of measures, in order. */
  constructor(shown) {
    this.charts = Object.fromEntries(shown.map((measure) => [measure, new Chart(MEASURES[measure])]));
    this.note = element("p", { class: "hanq-lab-small" });
    this.root = element("div", {}, element("div", { class: "hanq-lab-charts" }, ...Object.values(this.charts).map((chart) => chart.root)), this.note);
  }

  /** agents: [{label, parts, exponent, points: metrics of a run}]; until: gradient steps of the whole run. */
  draw(agents, until) {
    const ghosts = agents.map(({ parts, exponent }) => ({ ...ghost(parts, exponent), colour: colour(parts) }));
    for (const [measure, chart] of Object.entries(this.charts)) {
      const series = agents.map(({ label, parts, points }, i) => ({
        label,
        colour: colour(parts),
        dashed: i === 1,
        points: points.map((point) => [point.gradientStep, point[measure]]),
      }));
      chart.draw({ until, series, ghosts: measure === "score" ? ghosts.filter(({ steps }) => steps) : [] });
    }
    const sources = agents.map(({ label, exponent }, i) => `${label} at ${power(exponent)}: ${ghosts[i].result ? `30 runs, ${ghosts[i].result}` : "none"}`);
    this.note.textContent = `Pale, behind the score: the book's stored runs, mean and 95% interval (${sources.join("; ")}).`;
  }
}
