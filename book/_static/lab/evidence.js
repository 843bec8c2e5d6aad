/** The committed curves of what the laboratory trains: an algorithm, a learning rate, and the 30 seeds one by one. */

import { colour, describe, sameParts } from "./algorithms.js";
import { element, newId, power, short } from "./dom.js";
import { Result, average, load } from "./result.js";

export class Evidence {
  constructor() {
    const { curves } = globalThis.hanqLabCurves;
    this.curves = curves;
    this.families = curves.filter((curve, i) => curves.findIndex((other) => sameParts(other.parts, curve.parts)) === i).map(({ parts }) => parts);
    this.result = new Result();
    this.root = element(
      "section",
      { class: "hanq-lab-card hanq-lab-evidence", "aria-label": "The stored curves" },
      element("p", { class: "hanq-lab-title" }, "The stored curves, seed by seed"),
      element("div", { class: "hanq-lab-agent" }, this.familyField(), this.rateField()),
      this.result.root,
    );
    this.chooseFamily();
    load("Seeds").then((seeds) => {
      this.seeds = seeds;
      this.show();
    }, (error) => (this.result.status.textContent = error.message));
  }

  familyField() {
    const id = newId("family");
    const options = this.families.map((parts, value) => element("option", { value }, describe(parts)));
    this.family = element("select", { id, onchange: () => this.chooseFamily() }, ...options);
    return element("div", {}, element("label", { for: id }, "Algorithm"), this.family);
  }

  rateField() {
    const id = newId("rate");
    this.rate = element("input", { id, type: "range", min: 0, step: 1, oninput: () => this.show() });
    this.rateText = element("output", { for: id, "aria-live": "off" });
    return element("div", {}, element("label", { for: id }, "Learning rate"), this.rateText, this.rate);
  }

  /** Another algorithm, at the learning rate that scored best on average. */
  chooseFamily() {
    const parts = this.families[this.family.value];
    const all = this.curves.filter((curve) => sameParts(curve.parts, parts));
    const isFirst = (curve, i) => all.findIndex(({ learningRate }) => Math.abs(Math.log(learningRate / curve.learningRate)) < 1e-6) === i;
    this.shown = all.filter(isFirst).sort((a, b) => a.learningRate - b.learningRate); // where two tables have one setting, the first
    const means = this.shown.map(({ mean }) => average(mean));
    this.rate.max = this.shown.length - 1;
    this.rate.disabled = this.shown.length === 1;
    this.rate.value = means.indexOf(Math.max(...means));
    this.show();
  }

  show() {
    const curve = this.shown[this.rate.value];
    const text = `${power(Number(Math.log10(curve.learningRate).toFixed(3)))} = ${short(curve.learningRate)}`;
    this.rateText.textContent = text;
    this.rate.setAttribute("aria-valuetext", text);
    this.result.show(curve, this.seeds?.[this.curves.indexOf(curve)] ?? null, colour(curve.parts));
  }
}
