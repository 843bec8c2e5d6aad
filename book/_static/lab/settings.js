/** The form in which a reader sets up one agent. */

import { CHOICES, EXPONENTS, LABELS, bestRate, nameOf, named } from "./algorithms.js";
import { element, newId, power, short } from "./dom.js";

const OWN = "your own";

export class Settings {
  /** start: {parts, exponent}; changed: called after each change that the reader makes. heading: "Agent A". */
  constructor(start, heading, changed) {
    this.start = start;
    this.heading = heading;
    this.changed = changed;
    this.fields = {};
    this.root = element("fieldset", { class: "hanq-lab-agent" }, element("legend", {}, (this.swatch = element("i")), " ", heading));
    this.root.append(this.nameField(), this.rateField(), this.partFields());
    this.set(start);
  }

  nameField() {
    const id = newId("algorithm");
    const names = [...Object.keys(named()), OWN];
    const options = names.map((name) => element("option", { value: name }, name));
    this.fields.name = element("select", { id, onchange: () => this.chooseName() }, ...options);
    return element("div", {}, element("label", { for: id }, "Algorithm"), this.fields.name);
  }

  rateField() {
    const id = newId("rate");
    this.fields.rate = element("input", { id, type: "range", min: 0, max: EXPONENTS.length - 1, step: 1, oninput: () => this.chooseRate() });
    this.rateText = element("output", { for: id, "aria-live": "off" });
    return element("div", {}, element("label", { for: id }, "Learning rate "), this.rateText, this.fields.rate);
  }

  partFields() {
    const rows = Object.entries(CHOICES).map(([part, choices]) => {
      const id = newId(part);
      const options = choices.map(([, text], i) => element("option", { value: i }, text));
      this.fields[part] = element("select", { id, onchange: () => this.choosePart(part) }, ...options);
      return element("div", {}, element("label", { for: id }, LABELS[part]), this.fields[part]);
    });
    return element("details", {}, element("summary", {}, "Its parts"), ...rows);
  }

  /** Show these settings. */
  set({ parts, exponent }) {
    [this.parts, this.exponent] = [{ ...parts }, exponent];
    this.fields.name.value = nameOf(parts) ?? OWN;
    this.fields.rate.value = EXPONENTS.indexOf(exponent);
    const text = `${power(exponent)} = ${short(10 ** exponent)}`;
    this.rateText.textContent = text;
    this.fields.rate.setAttribute("aria-valuetext", text);
    for (const [part, choices] of Object.entries(CHOICES)) this.fields[part].value = choices.findIndex(([value]) => value === parts[part]);
    this.fields.predictorNorm.disabled = parts.predictor !== "metapredictor";
  }

  chooseName() {
    const parts = named()[this.fields.name.value];
    if (parts) this.set({ parts, exponent: bestRate(parts) ?? this.exponent });
    else this.root.querySelector("details").open = true; // of the reader's own: by its parts
    this.changed();
  }

  chooseRate() {
    this.set({ parts: this.parts, exponent: EXPONENTS[this.fields.rate.value] });
    this.changed();
  }

  choosePart(part) {
    this.set({ parts: { ...this.parts, [part]: CHOICES[part][this.fields[part].value][0] }, exponent: this.exponent });
    this.changed();
  }
}
