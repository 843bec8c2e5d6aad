/** One laboratory: its form, its run, and what is drawn of it. */

import { fromAddress, isAddress, refused, toAddress } from "./address.js";
import { colour, named, sameParts, title } from "./algorithms.js";
import { Controls } from "./controls.js";
import { element, short, whole } from "./dom.js";
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
      failed: (message) => this.failed(message),
    });
    this.agents = preset.agents.map(([algorithm, exponent], i) => this.newAgent({ parts: named()[algorithm], exponent }, i));
    this.build();
    if (preset.address) this.readAddress();
    else this.reset();
    this.watch();
  }

  newAgent(start, i) {
    const name = `Agent ${LETTERS[i]}`;
    const agent = {};
    agent.settings = new Settings(start, name, () => this.changed());
    agent.pendulum = new Pendulum(name, { ended: () => this.session.playing && this.swing(agent), moved: (state) => agent.field.mark(state) });
    agent.field = new Field(name, () => this.drawMap(agent));
    agent.pendulum.root.append(element("button", { type: "button", onclick: () => this.swing(agent, [Math.PI, 0]) }, "From below"));
    agent.views = element("div", { class: "hanq-lab-views", role: "group", "aria-label": name }, agent.pendulum.root, agent.field.root);
    return agent;
  }

  /** The agents of the run: the main laboratory has its second one on demand. */
  get shown() {
    return this.preset.address && !this.controls.second ? this.agents.slice(0, 1) : this.agents;
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
    this.controls = new Controls(preset, {
      play: () => (this.session.playing ? this.session.pause() : this.play()),
      step: () => this.session.stepOnce(),
      reset: () => this.reset(),
      changed: () => this.changed(),
      copy: () => this.copyAddress(),
    });
    this.status = element("p", { class: "hanq-lab-status", role: "status" }, "Nothing has been trained yet.");
    this.prediction = preset.question ? new Prediction(preset) : null;
    const settings = element("div", { class: "hanq-lab-agents" }, ...this.agents.map(({ settings: form }) => form.root));
    this.viewsRow = element("div", { class: "hanq-lab-agents" }, ...this.agents.map((agent) => agent.views));
    this.root = element(
      "section",
      { class: `hanq-lab-card hanq-lab-${this.name}`, "aria-label": `Laboratory: ${preset.title}` },
      element("p", { class: "hanq-lab-title" }, preset.title),
      this.prediction?.root,
      preset.address ? settings : element("details", {}, element("summary", {}, "Other algorithms, parts and learning rates"), settings),
      this.controls.root,
      this.status,
      this.measures.root,
      preset.views ? this.viewsRow : null,
    );
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
      agent.settings.root.hidden = agent.views.hidden = !this.shown.includes(agent);
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
    this.until = this.controls.steps;
    this.suspended = false;
    const { seed } = this.controls;
    this.controls.seed = seed; // what is trained, whatever was typed
    const settings = this.shown.map(({ settings: { parts, exponent } }) => ({ environment: "Pendulum", algorithm: parts, learningRate: 10 ** exponent, seed }));
    this.session.reset(settings, this.until, this.until / POINTS);
    this.controls.next = "Play";
    this.say("Nothing has been trained yet.");
    this.refresh();
  }

  play() {
    if (this.session.finished) this.reset();
    this.session.play();
    this.controls.next = "Pause";
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
    this.controls.next = finished ? "Again" : "Play";
    this.say((finished && this.prediction ? `${this.judgement()} ` : "") + this.standing());
  }

  failed(message) {
    this.controls.next = "Play";
    this.say(`It went wrong: ${message}`);
  }

  /** What the run says of the prediction, unless the reader has made it another run than the question is about. */
  judgement() {
    const { agents, until, verdict } = this.preset;
    const asked = ({ parts, exponent }, [algorithm, rate]) => sameParts(parts, named()[algorithm]) && exponent === rate;
    const same = this.until === until && this.described.every((agent, i) => asked(agent, agents[i]));
    const regular = ({ gradientStep }) => gradientStep % (until / POINTS) === 0; // not those of pauses and single steps
    return same ? this.prediction.judge(verdict(this.described.map((agent) => ({ ...agent, points: agent.points.filter(regular) })))) : "The question is about other settings.";
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

  /** Out of sight nothing is trained; back in sight it goes on, unless another laboratory has been started meanwhile. */
  watch() {
    let inView = true;
    const look = () => {
      const visible = inView && !document.hidden;
      if (!visible && this.session.playing) {
        this.session.pause();
        this.suspended = true;
      } else if (visible && this.suspended) {
        this.suspended = false;
        if (!Session.busy) this.play();
      }
    };
    new IntersectionObserver((entries) => look((inView = entries.at(-1).isIntersecting))).observe(this.root);
    document.addEventListener("visibilitychange", look);
    if (this.preset.address) addEventListener("hashchange", () => isAddress(new URLSearchParams(location.hash.slice(1))) && this.readAddress());
  }

  // The address.

  readAddress() {
    const words = new URLSearchParams(location.hash.slice(1));
    const { agents, seed, steps } = fromAddress(words, this.agents.map(({ settings }) => settings));
    agents.forEach((settings, i) => settings && this.agents[i].settings.set(settings));
    this.controls.second = agents[1] !== null; // a link without a second agent has none
    if (seed !== null) this.controls.seed = seed;
    if (steps !== null) this.controls.steps = steps;
    this.reset();
    const other = refused(words, this.address);
    if (other) this.say(`The address asks for what the laboratory does not have: ${other}.`);
  }

  get address() {
    return toAddress(this.shown.map(({ settings }) => settings), this.controls.seed, this.controls.steps);
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
