// Agents behind messages, so that a page stays responsive while they learn. Whatever has postMessage and onmessage can serve.
//
// In:  {type: "create", id, settings}  {type: "run", id, until, every}  {type: "pause", id}  {type: "remove", id}
//      {type: "map", id, what, width, height}  {type: "rollout", id, start}
// Out: {type: "created" | "metrics" | "map" | "rollout" | "error", id, ...}

import { createAgent } from "./agent.js";

const SLICE = 25; // milliseconds after which the next agent has its turn

/** One agent, and how far it is to run; `post` sends a message with its id. */
class Trainee {
  constructor(settings, post) {
    this.agent = createAgent(settings);
    this.post = post;
    this.until = 0;
    this.every = 1;
    this.seconds = 0; // spent in gradient steps so far
    this.post({ type: "created" });
    this.report();
  }

  get running() {
    return this.agent.gradientStep < this.until;
  }

  /** Gradient steps, and metrics where they are due, until the slice is over. */
  advance() {
    const start = performance.now();
    while (this.running && performance.now() - start < SLICE) {
      const before = performance.now();
      this.agent.step();
      this.seconds += (performance.now() - before) / 1000;
      if (this.agent.gradientStep % this.every === 0 || !this.running) this.report();
    }
  }

  report() {
    this.post({ type: "metrics", ...this.agent.metrics(), seconds: this.seconds, running: this.running });
  }

  run({ until, every }) {
    for (const [name, value] of Object.entries({ until, every })) {
      if (!Number.isInteger(value) || value < 1) throw new Error(`${name}=${value} is not allowed: use an integer of at least 1`);
    }
    this.until = until;
    this.every = every;
  }

  pause() {
    this.until = 0;
    this.report();
  }

  map({ what, width, height }) {
    const { agent } = this, values = agent.map(what, width, height);
    this.post({ type: "map", what, width, height, values, gradientStep: agent.gradientStep });
  }

  rollout({ start }) {
    this.post({ type: "rollout", ...this.agent.rollout(start), gradientStep: this.agent.gradientStep });
  }
}

const REQUESTS = ["run", "pause", "map", "rollout"];

/** Answer the messages that come in through a port: a worker's `self`, say. */
export function serve(port) {
  const trainees = new Map();
  let scheduled = false;

  function takeTurns() {
    scheduled = false;
    for (const [id, trainee] of trainees) {
      if (!attempt(id, () => trainee.advance())) trainee.until = 0;
    }
    schedule();
  }

  function schedule() {
    if (scheduled || ![...trainees.values()].some((trainee) => trainee.running)) return;
    scheduled = true;
    setTimeout(takeTurns); // messages that have come are answered before it
  }

  /** Whether the action went well; if not, the page is told what was wrong. */
  function attempt(id, action) {
    try {
      action();
      return true;
    } catch (error) {
      port.postMessage({ type: "error", id, message: error.message });
      return false;
    }
  }

  function answer({ type, id, ...request }) {
    if (type === "create") trainees.set(id, new Trainee(request.settings, (message) => port.postMessage({ id, ...message })));
    else if (type === "remove") trainees.delete(id);
    else if (!REQUESTS.includes(type)) throw new Error(`type=${type} is not allowed: use one of create, remove, ${REQUESTS.join(", ")}`);
    else if (!trainees.has(id)) throw new Error(`id=${id} is unknown: create it first`);
    else trainees.get(id)[type](request);
  }

  port.onmessage = ({ data }) => {
    attempt(data.id, () => answer(data));
    schedule();
  };
}

/** A worker that runs a program given as text: where a page comes from a file, browsers let it have no other. */
export function startWorker(source) {
  return new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
}
