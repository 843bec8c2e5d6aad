/** The buttons and fields of a run: play, one step, reset; seed and length; and, of the main laboratory, a second agent and the address. */

import { LENGTHS, SEEDS } from "./address.js";
import { element, newId, whole } from "./dom.js";

const button = (text, onclick) => element("button", { type: "button", onclick }, text);

export class Controls {
  /** on: {play(), step(), reset(), changed(), copy()}, called when the reader asks for it. */
  constructor({ until, address }, on) {
    const [seed, length, second] = ["seed", "length", "second"].map(newId);
    this.playButton = button("Play", on.play);
    this.playButton.classList.add("hanq-lab-play");
    this.seedField = element("input", { id: seed, type: "number", min: 0, max: SEEDS - 1, step: 1, value: 3, onchange: on.changed });
    const lengths = [...new Set([...LENGTHS, until])].sort((a, b) => a - b);
    const options = lengths.map((value) => element("option", { value, selected: value === until }, whole(value)));
    this.lengthField = element("select", { id: length, onchange: on.changed }, ...options);
    this.secondField = element("input", { id: second, type: "checkbox", onchange: on.changed });
    this.root = element(
      "div",
      { class: "hanq-lab-buttons", role: "group", "aria-label": "Run" },
      this.playButton,
      button("One step", on.step),
      button("Reset", on.reset),
      element("span", {}, element("label", { for: seed }, "Seed "), this.seedField),
      element("span", {}, element("label", { for: length }, "Steps "), this.lengthField),
      address ? element("span", {}, this.secondField, element("label", { for: second }, " Compare two")) : null,
      address ? button("Copy the address", on.copy) : null,
    );
  }

  /** What the first button does next: Play, Pause or Again. */
  set next(text) {
    this.playButton.textContent = text;
  }

  /** An integer from 0, the nearest to what was typed. */
  get seed() {
    return Math.min(Math.max(0, Math.round(this.seedField.value) || 0), SEEDS - 1);
  }

  set seed(value) {
    this.seedField.value = value;
  }

  get steps() {
    return Number(this.lengthField.value);
  }

  set steps(value) {
    this.lengthField.value = value;
  }

  /** Whether a second agent is wanted. */
  get second() {
    return this.secondField.checked;
  }

  set second(value) {
    this.secondField.checked = value;
  }
}
