/** Baird's counterexample: seven states, exact updates, a step size to choose. */

import { Chart } from "./chart.js";
import { element, newId, short, whole } from "./dom.js";
import { Prediction } from "./prediction.js";

const PATH = 20; // step size times updates: a tenth of the step size runs ten times longer
const POINTS = 200;
const COLOURS = { "semi-gradient": "DQN", "residual gradient": "HSSAQ" }; // as in the chapter's figure

const PRESET = {
  question: "All rewards are 0, and so is the true value of every state. The semi-gradient diverges at a step size of 0.02. At a hundredth of it?",
  choices: ["It diverges too, only later", "It converges: small steps are safe"],
};

/** Largest |v(s)| of any state along a run: [[updates, value], ...]. */
function run(stepSize, residual) {
  const updates = Math.round(PATH / stepSize);
  const every = Math.max(1, Math.floor(updates / POINTS));
  const baird = globalThis.hanqLab.createBaird({ stepSize, residual });
  const points = [[0, baird.largest()]];
  while (baird.updates < updates && Number.isFinite(baird.largest())) {
    baird.step(every);
    points.push([baird.updates, baird.largest()]);
  }
  return points;
}

export class Counterexample {
  constructor() {
    this.chart = new Chart({ title: "Largest |v(s)|", log: true, steps: "updates" });
    this.prediction = new Prediction(PRESET);
    this.status = element("p", { class: "hanq-lab-status", role: "status" }, "Nothing has been run yet.");
    const id = newId("step");
    // Step sizes 0.0002 to 0.2, in factors of 10^(1/4); 0.02 is the chapter's.
    this.slider = element("input", { id, type: "range", min: -15, max: -3, step: 1, value: -7, oninput: () => this.show(false) });
    this.output = element("output", { for: id, "aria-live": "off" });
    const button = element("button", { type: "button", class: "hanq-lab-play", onclick: () => this.show(true) }, "Run");
    this.root = element(
      "section",
      { class: "hanq-lab-card", "aria-label": "Laboratory: Baird's counterexample" },
      element("p", { class: "hanq-lab-title" }, "Baird's counterexample"),
      this.prediction.root,
      element("div", { class: "hanq-lab-buttons" }, element("span", {}, element("label", { for: id }, "Step size "), this.output), this.slider, button),
      this.status,
      element("div", { class: "hanq-lab-charts" }, this.chart.root),
    );
    this.show(false);
  }

  get stepSize() {
    return Number((0.02 * 10 ** ((Number(this.slider.value) + 7) / 4)).toPrecision(3));
  }

  /** asked: by the button, after which the slider runs it at once. */
  show(asked) {
    this.ran ||= asked;
    this.output.textContent = short(this.stepSize);
    this.slider.setAttribute("aria-valuetext", short(this.stepSize));
    const updates = Math.round(PATH / this.stepSize);
    if (!this.ran) return this.chart.draw({ until: updates, series: [], ghosts: [] });
    const palette = globalThis.hanqLabCurves.colours;
    const series = Object.entries(COLOURS).map(([label, of]) => ({
      label,
      colour: `color-mix(in oklab, ${palette[of]}, white var(--hanq-lab-lighten))`,
      dashed: label.startsWith("residual"),
      points: run(this.stepSize, label.startsWith("residual")),
    }));
    this.chart.draw({ until: updates, series, ghosts: [] });
    if (!asked) return;
    const [first, last] = [series[0].points[0][1], series[0].points.at(-1)[1]];
    const diverged = !(last < 10 * first);
    const words = `At a step size of ${short(this.stepSize)} the semi-gradient's largest value went from ${short(first)} to ${short(last)} in ${whole(updates)} updates`;
    const judged = this.stepSize <= 0.0002 * 1.01;
    this.status.textContent = judged ? this.prediction.judge({ answer: diverged ? 0 : 1, words }) : `${words}. For the question, move the slider to 0.0002.`;
  }
}
