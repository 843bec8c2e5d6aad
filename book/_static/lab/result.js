/** One committed result: the mean of its seeds and its interval, and the seeds one by one. */

import { Chart } from "./chart.js";
import { element, newId, short } from "./dom.js";

const SEEDS = 30;
export const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** What the build wrote as globalThis.hanqLab<Name>, loaded when it is first wanted: a script, for a page from a folder may fetch nothing. */
export function load(name) {
  const found = `hanqLab${name}`;
  if (found in globalThis) return Promise.resolve(globalThis[found]);
  const address = document.querySelector('script[src*="lab/curves.js"]').src.replace("curves.js", `${name.toLowerCase()}.js`);
  return new Promise((resolve, reject) => {
    document.head.append(element("script", { src: address, onload: () => resolve(globalThis[found]), onerror: () => reject(new Error(`${address} is missing`)) }));
  });
}

/** One curve's scores by seed, [[score, ...], ...], from a signed byte each in base64. */
function decode(text, steps) {
  const bytes = Int8Array.from(atob(text), (character) => character.charCodeAt(0));
  return Array.from({ length: SEEDS }, (_, seed) => [...bytes.subarray(seed * steps, (seed + 1) * steps)]);
}

export class Result {
  constructor() {
    const id = newId("seed");
    this.chart = new Chart({ title: "Score", range: [-15, 115], marks: [100] });
    this.status = element("p", { class: "hanq-lab-status" });
    this.source = element("p", { class: "hanq-lab-small" });
    this.seed = element("input", { id, type: "range", min: 0, max: SEEDS - 1, step: 1, value: 3, oninput: () => this.draw() });
    this.seedText = element("output", { for: id, "aria-live": "off" });
    const choice = element("div", { class: "hanq-lab-buttons" }, element("span", {}, element("label", { for: id }, "Seed "), this.seedText), this.seed);
    this.root = element("div", {}, choice, this.status, element("div", { class: "hanq-lab-charts" }, this.chart.root), this.source);
  }

  /** curve: {result, steps, mean, low, high}; seeds: its scores in base64, null while they are being loaded. */
  show(curve, seeds, colour) {
    Object.assign(this, { curve, colour, scores: seeds ? decode(seeds, curve.steps.length) : null });
    this.draw();
  }

  draw() {
    const { curve, colour, scores } = this;
    const seed = Number(this.seed.value);
    this.seedText.textContent = String(seed);
    const lines = (scores ?? []).map((values) => values.map((score, i) => [curve.steps[i], score]));
    const series = scores ? [{ label: `seed ${seed}`, colour: "var(--hanq-lab-text)", points: lines[seed] }] : [];
    this.chart.draw({ until: curve.steps.at(-1), series, ghosts: [{ ...curve, colour }], faint: { colour, lines } });
    this.status.textContent = scores ? this.words(scores, seed) : "Loading the seeds.";
    this.source.textContent = `From book/results/${curve.result}.nc. Faint: each of the ${SEEDS} seeds; shaded: their mean and its 95% interval; thick: the seed that you chose.`;
  }

  words(scores, seed) {
    const poor = scores.filter((values) => average(values) < 50).length;
    const [own, all] = [average(scores[seed]), average(this.curve.mean)].map(short);
    return `Averaged over training, seed ${seed} scores ${own}, the mean of all ${all}. Seeds below 50: ${poor} of ${SEEDS}.`;
  }
}
