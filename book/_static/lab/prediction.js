/** A question asked before a run, and what the run says of the answer. */

import { element, newId } from "./dom.js";

export class Prediction {
  constructor({ question, choices }) {
    this.choices = choices;
    const name = newId("choice");
    this.fields = choices.map((choice, value) => element("input", { type: "radio", name, value, id: newId("answer") }));
    const rows = choices.map((choice, i) => element("span", {}, this.fields[i], element("label", { for: this.fields[i].id }, ` ${choice}`)));
    this.root = element("fieldset", { class: "hanq-lab-question" }, element("legend", {}, question), ...rows, element("p", {}, "Choose, then run."));
  }

  /** What to say after a run. found: {answer: index of the choice that was right, or null for none, words: what was seen}. */
  judge({ answer, words }) {
    const chosen = this.fields.findIndex((field) => field.checked);
    const seen = `${words}.`;
    if (answer === null) return `${seen} That answers the question neither way; change the seed, and run again.`;
    if (chosen < 0) return `${seen} You made no prediction; choose, change the seed, and run again.`;
    return chosen === answer ? `As you said: ${this.choices[answer]}. ${seen}` : `Not this time. You said: ${this.choices[chosen]}. ${seen}`;
  }
}
