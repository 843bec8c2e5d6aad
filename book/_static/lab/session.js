/** A run of one or two agents in a worker, step by step together. It knows nothing of the page. */

let training = null; // the one session of the page that trains now: five laboratories use one core, as one does

export class Session {
  /** on: {metrics(), map(agent, reply), rollout(agent, reply), stopped(finished), failed(message)}, called as replies come. */
  constructor(on) {
    this.on = on;
    this.worker = null;
    this.created = 0;
    this.agents = [];
    this.playing = false;
  }

  /** Whether any session of the page trains now. */
  static get busy() {
    return training?.playing ?? false;
  }

  /** Forget what was trained. settings: createAgent's, one for each agent. until, every: gradient steps in all, and between evaluations. */
  reset(settings, until, every) {
    this.halt();
    for (const { id } of this.agents) if (id) this.send({ type: "remove", id });
    this.agents = settings.map((one) => ({ id: null, settings: one, points: [], steps: 0 }));
    Object.assign(this, { until, every, target: 0, failure: null });
  }

  get steps() {
    return Math.min(...this.agents.map(({ steps }) => steps));
  }

  get finished() {
    return this.steps >= this.until;
  }

  play() {
    if (this.playing || this.finished) return;
    if (training && training !== this) training.pause();
    training = this;
    this.playing = true;
    this.advance(Math.min((Math.floor(this.steps / this.every) + 1) * this.every, this.until));
  }

  /** One gradient step of every agent. */
  stepOnce() {
    if (!this.playing && !this.finished) this.advance(this.steps + 1);
  }

  pause() {
    if (this.halt()) this.on.stopped(false);
  }

  /** Stop training, and tell nobody. Returns whether there was any. */
  halt() {
    if (!this.playing) return false;
    this.playing = false;
    for (const { id } of this.agents) this.send({ type: "pause", id });
    return true;
  }

  advance(target) {
    this.target = target;
    for (const agent of this.agents) {
      agent.id ??= this.create(agent.settings);
      if (agent.steps < target) this.send({ type: "run", id: agent.id, until: target, every: this.every });
    }
  }

  create(settings) {
    if (!this.worker) {
      this.worker = globalThis.hanqLab.newWorker();
      this.worker.onmessage = ({ data }) => this.receive(data);
      this.worker.onerror = (event) => this.fail(event.message || "the worker could not start");
    }
    const id = `agent-${++this.created}`;
    this.send({ type: "create", id, settings });
    return id;
  }

  /** Ask for a map or a rollout of an agent, trained or not; the answer comes to `on`. */
  ask(agent, message) {
    agent.id ??= this.create(agent.settings);
    this.send({ ...message, id: agent.id });
  }

  send(message) {
    this.worker.postMessage(message);
  }

  /** Only the first failure tells the cause: an agent that could not be created is unknown to every later message. */
  fail(message) {
    this.playing = false;
    this.failure ??= message;
    this.on.failed(this.failure);
  }

  receive(reply) {
    if (reply.type === "error") return this.fail(reply.message);
    const agent = this.agents.find(({ id }) => id === reply.id);
    if (!agent) return; // it was reset meanwhile
    if (reply.type === "metrics") this.record(agent, reply);
    else this.on[reply.type]?.(agent, reply);
  }

  record(agent, reply) {
    if (reply.gradientStep <= agent.steps) return; // before its first step, or reported twice
    agent.steps = reply.gradientStep;
    agent.points.push(reply);
    if (this.steps < this.target) return this.playing ? undefined : this.on.metrics();
    if (!this.playing) return this.on.metrics();
    if (this.finished) this.playing = false;
    else this.advance(Math.min(this.target + this.every, this.until));
    this.on.metrics();
    if (this.finished) this.on.stopped(true);
  }
}
