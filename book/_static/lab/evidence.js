/** The committed curves: an algorithm, a learning rate, and the 30 seeds one by one. */

import { colour, describe, sameParts } from "./algorithms.js";
import { Chart } from "./chart.js";
import { element, newId, power, short } from "./dom.js";

const SEEDS = 30;
const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The scores of each seed of each curve, loaded when they are first wanted: a script, for a page from a folder may fetch nothing. */
function loadSeeds() {
  const address = document.querySelector('script[src*="lab/curves.js"]').src.replace("curves.js", "seeds.js");
  return new Promise((resolve, reject) => {
    document.head.append(element("script", { src: address, onload: () => resolve(globalThis.hanqLabSeeds), onerror: () => reject(new Error(`${address} is missing`)) }));
  });
}

/** One curve's scores by seed, [[score, ...], ...], from a signed byte each in base64. */
function decode(text, steps) {
  const bytes = Int8Array.from(atob(text), (character) => character.charCodeAt(0));
  return Array.from({ length: SEEDS }, (_, seed) => [...bytes.subarray(seed * steps, (seed + 1) * steps)]);
}

export class Evidence {
  constructor() {
    const { curves } = globalThis.hanqLabCurves;
    this.curves = curves;
    this.families = curves.filter((curve, i) => curves.findIndex((other) => sameParts(other.parts, curve.parts)) === i).map(({ parts }) => parts);
    this.chart = new Chart({ title: "Score", range: [-15, 115], marks: [100] });
    this.status = element("p", { class: "hanq-lab-status" });
    this.source = element("p", { class: "hanq-lab-small" });
    this.root = element(
      "section",
      { class: "hanq-lab-card hanq-lab-evidence", "aria-label": "The committed curves" },
      element("h3", { class: "hanq-lab-title" }, "The committed curves, seed by seed"),
      element("div", { class: "hanq-lab-agent" }, this.family(), this.slider("rate", "Learning rate"), this.slider("seed", "Seed")),
      this.status,
      element("div", { class: "hanq-lab-charts" }, this.chart.root),
      this.source,
    );
    this.seed.max = SEEDS - 1;
    this.seed.value = 3;
    this.readAddress();
    loadSeeds().then((seeds) => {
      this.seeds = seeds;
      this.show();
    }, (error) => (this.status.textContent = error.message));
  }

  /** A link to one result, #result=fig6b/HANQ, or HANQ's without one. */
  readAddress() {
    const wanted = this.curves.find(({ result }) => result === new URLSearchParams(location.hash.slice(1)).get("result"));
    const found = wanted ? this.families.findIndex((parts) => sameParts(parts, wanted.parts)) : 0;
    this.choice.value = found;
    this.chooseFamily();
    if (!wanted) return;
    this.rate.value = this.shown.indexOf(wanted);
    this.show();
    requestAnimationFrame(() => this.root.scrollIntoView()); // once the page holds it
  }

  family() {
    const id = newId("family");
    const options = this.families.map((parts, value) => element("option", { value }, describe(parts)));
    this.choice = element("select", { id, onchange: () => this.chooseFamily() }, ...options);
    return element("div", {}, element("label", { for: id }, "Algorithm"), this.choice);
  }

  /** A slider as this[name], and its value in words as this[name + "Text"]. */
  slider(name, text) {
    const id = newId(name);
    this[name] = element("input", { id, type: "range", min: 0, step: 1, oninput: () => this.show() });
    this[`${name}Text`] = element("output", { for: id, "aria-live": "off" });
    return element("div", {}, element("label", { for: id }, text), this[`${name}Text`], this[name]);
  }

  /** Another algorithm, at the learning rate that scored best on average. */
  chooseFamily() {
    const parts = this.families[this.choice.value];
    this.shown = this.curves.filter((curve) => sameParts(curve.parts, parts)).sort((a, b) => a.learningRate - b.learningRate);
    const means = this.shown.map(({ mean }) => average(mean));
    this.rate.max = this.shown.length - 1;
    this.rate.disabled = this.shown.length === 1;
    this.rate.value = means.indexOf(Math.max(...means));
    this.show();
  }

  show() {
    const curve = this.shown[this.rate.value];
    const seed = Number(this.seed.value);
    this.say(this.rate, this.rateText, `${power(Number(Math.log10(curve.learningRate).toFixed(3)))} = ${short(curve.learningRate)}`);
    this.say(this.seed, this.seedText, String(seed));
    const scores = this.seeds ? decode(this.seeds[this.curves.indexOf(curve)], curve.steps.length) : [];
    const lines = scores.map((values) => values.map((score, i) => [curve.steps[i], score]));
    const own = colour(curve.parts);
    const series = lines.length ? [{ label: `seed ${seed}`, colour: "var(--hanq-lab-text)", points: lines[seed] }] : [];
    this.chart.draw({ until: curve.steps.at(-1), series, ghosts: [{ ...curve, colour: own }], faint: { colour: own, lines } });
    const poor = scores.filter((values) => average(values) < 50).length;
    this.status.textContent = scores.length
      ? `Averaged over training, seed ${seed} scores ${short(average(scores[seed]))}, the mean of all ${short(average(curve.mean))}. Seeds below 50: ${poor} of ${SEEDS}.`
      : "Loading the seeds.";
    this.source.textContent = `From book/results/${curve.result}.nc. Faint: each of the ${SEEDS} seeds; shaded: their mean and its 95% interval; thick: the seed that you chose.`;
  }

  say(slider, output, text) {
    output.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  }
}
