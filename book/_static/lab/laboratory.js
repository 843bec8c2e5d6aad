/** One laboratory: its form, its run, and what is drawn of it. */

import { LENGTHS, SEEDS, fromAddress, refused, toAddress } from "./address.js";
import { colour, named, title } from "./algorithms.js";
import { element, newId, short, whole } from "./dom.js";
import { Measures } from "./measures.js";
import { Prediction } from "./prediction.js";
import { Session } from "./session.js";
import { Settings } from "./settings.js";
import { Field, Pendulum } from "./views.js";

const POINTS = 100; // evaluations in a whole run
const LETTERS = ["A", "B"];

export class Laboratory {
  constructor(preset, name) {
    Object.assign(this, { preset, name, until: preset.until, suspended: false });
    this.session = new Session({
      metrics: () => this.update(),
      map: (trained, reply) => this.agentOf(trained).field.show(reply),
      rollout: (trained, reply) => this.agentOf(trained).pendulum.show(reply),
      stopped: (finished) => this.stopped(finished),
      failed: (message) => this.say(`It went wrong: ${message}`),
    });
    this.agents = preset.agents.map(([algorithm, exponent], i) => this.newAgent({ parts: named()[algorithm], exponent }, i));
    this.build();
    if (preset.address) this.readAddress();
    else this.reset();
    this.watch();
  }

  newAgent(start, i) {
    const name = `Agent ${LETTERS[i]}`;
    const agent = { shown: i === 0 || this.preset.second !== false };
    agent.settings = new Settings(start, name, () => this.changed());
    agent.pendulum = new Pendulum(name, { ended: () => this.session.playing && this.swing(agent), moved: (state) => agent.field.mark(state) });
    agent.field = new Field(name, () => this.drawMap(agent));
    agent.pendulum.root.append(element("button", { type: "button", onclick: () => this.swing(agent, [Math.PI, 0]) }, "From below"));
    agent.views = element("div", { class: "hanq-lab-views", role: "group", "aria-label": name }, agent.pendulum.root, agent.field.root);
    return agent;
  }

  get shown() {
    return this.agents.filter((agent) => agent.shown);
  }

  /** The agent on the page whose training this is, and the reverse. */
  agentOf(trained) {
    return this.shown[this.session.agents.indexOf(trained)];
  }

  trainedOf(agent) {
    return this.session.agents[this.shown.indexOf(agent)];
  }

  // What the reader sees.

  build() {
    const { preset } = this;
    this.measures = new Measures(preset.charts);
    this.status = element("p", { class: "hanq-lab-status", role: "status" }, "Nothing has been trained yet.");
    this.prediction = preset.question ? new Prediction(preset) : null;
    const settings = element("div", { class: "hanq-lab-agents" }, ...this.agents.map(({ settings: form }) => form.root));
    this.viewsRow = element("div", { class: "hanq-lab-agents" }, ...this.agents.map((agent) => agent.views));
    this.root = element(
      "section",
      { class: `hanq-lab-card hanq-lab-${this.name}`, "aria-label": `Laboratory: ${preset.title}` },
      element("h3", { class: "hanq-lab-title" }, preset.title),
      this.prediction?.root,
      preset.address ? settings : element("details", {}, element("summary", {}, "The settings"), settings),
      this.buttons(),
      this.status,
      this.measures.root,
      preset.views ? this.viewsRow : null,
    );
  }

  buttons() {
    const button = (text, action) => element("button", { type: "button", onclick: action }, text);
    this.playButton = button("Play", () => (this.session.playing ? this.session.pause() : this.play()));
    this.playButton.classList.add("hanq-lab-play");
    const seed = newId("seed");
    const length = newId("length");
    this.seedField = element("input", { id: seed, type: "number", min: 0, max: SEEDS - 1, step: 1, value: 3, onchange: () => this.changed() });
    const options = LENGTHS.concat(LENGTHS.includes(this.until) ? [] : [this.until]).sort((a, b) => a - b);
    const values = options.map((value) => element("option", { value, selected: value === this.until }, whole(value)));
    this.lengthField = element("select", { id: length, onchange: () => this.changed() }, ...values);
    return element(
      "div",
      { class: "hanq-lab-buttons", role: "group", "aria-label": "Run" },
      this.playButton,
      button("One step", () => this.session.stepOnce()),
      button("Reset", () => this.reset()),
      element("span", {}, element("label", { for: seed }, "Seed "), this.seedField),
      element("span", {}, element("label", { for: length }, "Steps "), this.lengthField),
      ...(this.preset.address ? this.sharing(button) : []),
    );
  }

  /** What only the page's main laboratory has: a second agent on demand, and its address. */
  sharing(button) {
    const second = newId("second");
    this.secondField = element("input", { id: second, type: "checkbox", onchange: () => this.chooseSecond() });
    this.copyButton = button("Copy the address", () => this.copyAddress());
    return [element("span", {}, this.secondField, element("label", { for: second }, " Compare two")), this.copyButton];
  }

  chooseSecond() {
    this.agents[1].shown = this.secondField.checked;
    this.changed();
  }

  label(agent) {
    const name = title(agent.settings.parts);
    const same = this.shown.filter((other) => title(other.settings.parts) === name).length > 1;
    return same ? `${name} (${LETTERS[this.agents.indexOf(agent)]})` : name;
  }

  /** The agents with what is known of them, as charts and verdicts read them. */
  get described() {
    return this.shown.map((agent) => {
      const { parts, exponent } = agent.settings;
      return { label: this.label(agent), parts, exponent, points: this.trainedOf(agent).points };
    });
  }

  /** Show the settings' names and colours everywhere. */
  refresh() {
    for (const agent of this.agents) {
      agent.settings.root.hidden = agent.views.hidden = !agent.shown;
      agent.settings.swatch.style.background = colour(agent.settings.parts);
      agent.views.style.setProperty("--hanq-lab-agent", colour(agent.settings.parts));
      agent.pendulum.clear(this.label(agent));
      agent.field.clear(this.label(agent));
    }
    this.draw();
  }

  draw() {
    this.measures.draw(this.described, this.until);
  }

  say(text) {
    this.status.textContent = text;
  }

  // What the reader does.

  /** A setting is another: nothing that was trained holds any more. */
  changed() {
    this.reset();
    if (this.preset.address) this.writeAddress();
  }

  reset() {
    this.until = Number(this.lengthField.value);
    const seed = Math.min(Math.max(0, Math.round(this.seedField.value) || 0), SEEDS - 1);
    this.seedField.value = seed; // what is trained, whatever was typed
    const settings = this.shown.map(({ settings: { parts, exponent } }) => ({ environment: "Pendulum", algorithm: parts, learningRate: 10 ** exponent, seed }));
    this.session.reset(settings, this.until, this.until / POINTS);
    this.playButton.textContent = "Play";
    this.say("Nothing has been trained yet.");
    this.refresh();
  }

  play() {
    if (this.session.finished) this.reset();
    this.session.play();
    this.playButton.textContent = "Pause";
    this.say(`Training ${this.shown.map((agent) => this.label(agent)).join(" and ")}.`);
  }

  // What happens.

  update() {
    this.draw();
    if (!this.session.playing) this.say(this.standing());
    if (!this.preset.views) return;
    for (const agent of this.shown) {
      this.drawMap(agent);
      if (!agent.pendulum.moving && this.session.playing) this.swing(agent);
    }
  }

  stopped(finished) {
    this.playButton.textContent = finished ? "Again" : "Play";
    const judged = finished && this.prediction ? `${this.prediction.judge(this.preset.verdict(this.described))} ` : "";
    this.say(judged + this.standing());
  }

  /** How far the agents are. */
  standing() {
    const now = this.described.map(({ label, points }) => (points.length ? `${label} scores ${short(points.at(-1).score)}` : `${label} has not been evaluated`));
    return `Step ${whole(this.session.steps)}: ${now.join("; ")}.`;
  }

  drawMap(agent) {
    this.session.ask(this.trainedOf(agent), { type: "map", ...agent.field.request });
  }

  /** Show an episode of the present policy: the evaluation's first, or from a state. */
  swing(agent, start = 0) {
    this.session.ask(this.trainedOf(agent), { type: "rollout", start });
  }

  /** Out of sight nothing is trained; back in sight it goes on. */
  watch() {
    const see = (visible) => {
      if (!visible && this.session.playing) {
        this.session.pause();
        this.suspended = true;
      } else if (visible && this.suspended) {
        this.suspended = false;
        this.play();
      }
    };
    new IntersectionObserver(([entry]) => see(entry.isIntersecting)).observe(this.root);
    document.addEventListener("visibilitychange", () => see(!document.hidden));
    if (this.preset.address) addEventListener("hashchange", () => this.readAddress());
  }

  // The address.

  readAddress() {
    const words = new URLSearchParams(location.hash.slice(1));
    const { agents, seed, steps } = fromAddress(words, this.agents.map(({ settings }) => settings));
    agents.forEach((settings, i) => settings && this.agents[i].settings.set(settings));
    this.agents[1].shown = this.secondField.checked = agents[1] !== null; // a link without a second agent has none
    if (seed !== null) this.seedField.value = seed;
    if (steps !== null) this.lengthField.value = steps;
    this.reset();
    const other = refused(words, this.address);
    if (other) this.say(`The address asks for what the laboratory does not have: ${other}.`);
  }

  get address() {
    return toAddress(this.shown.map(({ settings }) => settings), this.seedField.value, this.lengthField.value);
  }

  writeAddress() {
    history.replaceState(null, "", `#${this.address}`);
  }

  async copyAddress() {
    this.writeAddress();
    try {
      await navigator.clipboard.writeText(location.href);
      this.say("The address of these settings has been copied.");
    } catch {
      this.say("The browser did not let the address be copied; it stands in the address bar.");
    }
  }
}
