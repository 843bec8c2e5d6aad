/** The corridor of the chapter on asymmetry: how a scale shortens the sight of an agent. */

import { drawn, element, newId, short } from "./dom.js";

const [STATES, DISCOUNT, NEAR, FAR] = [4, 0.99, 1, 2];
const [END, CELL, GAP] = [50, 98, 8]; // how wide the picture draws an end, a state, and the gap between two of them
const WIDTH = 2 * END + STATES * CELL + (STATES + 1) * GAP;

/** Solves scale * Q(s, a) = r + discount * max Q(s', .): [Q(s, left), Q(s, right)] of each state, from the last backwards. */
export function corridorValues(scale) {
  const values = [];
  for (let s = STATES - 1; s >= 0; s--) {
    const right = s === STATES - 1 ? FAR : DISCOUNT * Math.max(...values[0]);
    values.unshift([NEAR / scale, right / scale]);
  }
  return values;
}

export class Corridor {
  constructor() {
    const id = newId("scale");
    this.slider = element("input", { id, type: "range", min: 1, max: 1.6, step: 0.01, value: 1, oninput: () => this.show() });
    this.output = element("output", { for: id, "aria-live": "off" });
    this.picture = drawn("svg", { role: "img", viewBox: `-1 0 ${WIDTH + 2} 120`, class: "hanq-lab-corridor" });
    this.words = element("p", { class: "hanq-lab-status" });
    this.root = element(
      "section",
      { class: "hanq-lab-card", "aria-label": "Laboratory: the corridor" },
      element("p", { class: "hanq-lab-title" }, "The scale as a dial"),
      element("p", {}, "To the left of every state lies a reward of 1, to the right of the last one a reward of 2. At which ω does it no longer pay to walk right from the first state?"),
      element("div", { class: "hanq-lab-buttons" }, element("span", {}, element("label", { for: id }, "Scale ω "), this.output), this.slider),
      this.picture,
      this.words,
    );
    this.show();
  }

  show() {
    const scale = Number(this.slider.value);
    const values = corridorValues(scale);
    this.output.textContent = scale.toFixed(2);
    this.slider.setAttribute("aria-valuetext", `${scale.toFixed(2)}, a discount of ${short(DISCOUNT / scale)}`);
    this.picture.replaceChildren(...values.flatMap((pair, s) => cell(pair, s)), ...end(0, NEAR), ...end(WIDTH - END, FAR));
    const goes = values[0][1] > values[0][0] ? "right, to the reward of 2" : "left, to the reward of 1";
    const words = `The implied discount is γ / ω = ${short(DISCOUNT / scale)}. From the first state the greedy policy goes ${goes}.`;
    this.words.textContent = words;
    this.picture.setAttribute("aria-label", `Four states in a row. ${words}`);
  }
}

/** One state with both of its values, and the greedy arrow between them. */
function cell([left, right], s) {
  const x = END + GAP + (CELL + GAP) * s;
  const goesRight = right > left;
  return [
    drawn("rect", { x, y: 20, width: CELL, height: 80, rx: 6, class: "cell" }),
    drawn("text", { x: x + CELL / 2, y: 56, "text-anchor": "middle", class: "arrow" }, goesRight ? "→" : "←"),
    drawn("text", { x: x + 6, y: 92, class: goesRight ? "" : "best" }, left.toFixed(2)),
    drawn("text", { x: x + CELL - 6, y: 92, "text-anchor": "end", class: goesRight ? "best" : "" }, right.toFixed(2)),
  ];
}

/** What ends an episode, to the left of the states or to their right: its reward. */
function end(x, reward) {
  return [
    drawn("rect", { x, y: 20, width: END, height: 80, rx: 6, class: "end" }),
    drawn("text", { x: x + END / 2, y: 66, "text-anchor": "middle" }, `+${reward}`),
  ];
}
