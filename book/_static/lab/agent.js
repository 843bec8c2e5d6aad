// An agent to watch: what the laboratory's page asks for. No document is needed, so it runs in a page, a worker and Node.

import { collect } from "./collection.js";
import { ENVIRONMENTS, PENDULUM_MAX_SPEED } from "./environments.js";
import { bellmanError, greedy, meanReturn, rollout } from "./evaluation.js";
import { LIMITS } from "./kernel.js";
import { Learner } from "./learner.js";
import { Network } from "./network.js";

const EPISODES = 10; // of an evaluation
const NORMS = ["none", "LayerNorm", "l2"];
const CHOICES = { predictor: ["none", "one number", "metapredictor"], mainNorm: NORMS, predictorNorm: NORMS, normFirst: [false, true] };

const DQN = { predictor: "none", mainNorm: "none", predictorNorm: "none", normFirst: false, targetRate: null, hyperLr: 0 };
const SSAQ = { ...DQN, predictor: "one number" };

/** The paper's algorithms by their parts, without target networks. targetRate null: there is none; hyperLr 0: no hypergradient. */
export const ALGORITHMS = {
  DQN,
  "DQN-LN": { ...DQN, mainNorm: "LayerNorm" },
  "DQN-l2N": { ...DQN, mainNorm: "l2" },
  SSAQ,
  SSANQ: { ...SSAQ, mainNorm: "LayerNorm" },
  HANQ: { ...DQN, predictor: "metapredictor", mainNorm: "LayerNorm", predictorNorm: "l2", hyperLr: 0.1 },
  PQN: { ...DQN, mainNorm: "LayerNorm", normFirst: true },
};

/** The seven learning rates of the paper's grids. */
export const LEARNING_RATES = [-1, -1.5, -2, -2.5, -3, -3.5, -4].map((power) => 10 ** power);

function requireThat(holds, name, value, allowed) {
  const shown = typeof value === "number" ? value : JSON.stringify(value); // JSON has no NaN
  if (!holds) throw new Error(`${name}=${shown} is not allowed: use ${allowed}`);
}

function requireInteger(name, value, least, most) {
  requireThat(Number.isInteger(value) && value >= least && value <= most, name, value, `an integer from ${least} to ${most}`);
}

function requireParts(algorithm) {
  requireThat(algorithm && typeof algorithm === "object", "algorithm", algorithm, "the parts of one of ALGORITHMS");
  for (const [name, allowed] of Object.entries(CHOICES)) {
    requireThat(allowed.includes(algorithm[name]), name, algorithm[name], `one of ${JSON.stringify(allowed)}`);
  }
  const { targetRate, hyperLr } = algorithm;
  const isRate = targetRate === null || (targetRate > 0 && targetRate <= 1);
  requireThat(isRate, "targetRate", targetRate, "null, or a number above 0 and at most 1");
  requireThat(Number.isFinite(hyperLr) && hyperLr >= 0, "hyperLr", hyperLr, "a finite number of at least 0");
}

class Agent {
  constructor(environment, network, learner, data) {
    Object.assign(this, { environment, network, learner, transitions: data });
  }

  get gradientStep() {
    return this.learner.gradientStep;
  }

  /** n gradient steps. */
  step(n = 1) {
    for (let i = 0; i < n; i++) this.learner.step();
  }

  /** Evaluation: score and return_ are means over ten greedy episodes, the others but learningRate over the offline data. */
  metrics() {
    const { environment, learner, gradientStep } = this;
    const return_ = meanReturn(environment, learner.kernel, learner.seed, gradientStep, EPISODES);
    const means = bellmanError(learner.kernel, this.transitions.size, learner.discount);
    return { gradientStep, score: environment.score(return_), return_, learningRate: learner.learningRate, ...means };
  }

  /** Q(s, a) of every action for an observation. */
  qValues(observation) {
    return this.seen(observation).q.slice();
  }

  /** The predictor's scale for an observation; 1 without a predictor. */
  scaleAt(observation) {
    return this.seen(observation).scale();
  }

  seen(observation) {
    requireThat(observation?.length === this.network.inputs, "observation", observation, `${this.network.inputs} numbers`);
    this.learner.kernel.see(observation);
    return this.learner.kernel;
  }

  /** Parameters by name, each flat in hanq's order. */
  parameters() {
    return this.network.named(this.learner.params);
  }

  /** A greedy episode from a state, or, given a number, the episode of the present evaluation that it counts from 0. */
  rollout(start = 0) {
    const { environment, learner } = this;
    if (typeof start === "number") {
      requireInteger("start", start, 0, 2 ** 32);
      start = environment.start(learner.seed, this.gradientStep, start);
    }
    requireThat(start?.length === environment.stateSize, "start", start, `a state of ${environment.stateSize} numbers`);
    return rollout(environment, learner.kernel, start);
  }

  /**
   * One number for every cell of a map over the pendulum's angle (-pi to pi, left to right) and velocity (8 to -8, downwards).
   * what: "maxQ", "action" (the greedy one's number), or "discount" (what the scale makes of it, discount / scale).
   */
  map(what, width, height) {
    const { environment, learner } = this, { kernel } = learner;
    const of = {
      maxQ: () => kernel.q[kernel.best()],
      action: () => greedy(kernel),
      discount: () => learner.discount / kernel.scale(),
    }[what];
    requireThat(of, "what", what, 'one of ["maxQ","action","discount"]');
    requireThat(environment.name === "Pendulum", "environment", environment.name, '"Pendulum" for a map');
    requireInteger("width", width, 1, 1000);
    requireInteger("height", height, 1, 1000);
    return Float32Array.from({ length: width * height }, (_, i) => {
      const angle = (2 * (((i % width) + 0.5) / width) - 1) * Math.PI;
      const velocity = (1 - 2 * ((Math.floor(i / width) + 0.5) / height)) * PENDULUM_MAX_SPEED;
      kernel.see(environment.observe([angle, velocity]));
      return of();
    });
  }
}

/**
 * An agent before its first step. algorithm: the parts of one of ALGORITHMS, or others of the same form. transitions: how many
 * there are to learn from. The same settings give the agent of hanq.train(...) on hanq.collect(environment, [seed]).
 */
export function createAgent(settings) {
  const { environment = "Pendulum", algorithm, learningRate, seed, hidden = 128, batch = 128, transitions, discount = 0.99 } = settings;
  const known = Object.hasOwn(ENVIRONMENTS, environment) ? ENVIRONMENTS[environment] : null;
  requireThat(known, "environment", environment, `one of ${JSON.stringify(Object.keys(ENVIRONMENTS))}`);
  requireParts(algorithm);
  requireThat(Number.isFinite(learningRate) && learningRate > 0, "learningRate", learningRate, "a finite number above 0");
  requireThat(discount >= 0 && discount <= 1, "discount", discount, "a number from 0 to 1");
  const size = transitions ?? known.datasetSize;
  requireInteger("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  requireInteger("hidden", hidden, 2, LIMITS.features);
  requireInteger("batch", batch, 1, 4096);
  requireInteger("transitions", size, 1, 2 ** 20);
  const data = collect(known, seed, size), network = new Network(algorithm, known.observationSize, known.actionCount, hidden);
  const { hyperLr, targetRate } = algorithm;
  const learner = new Learner(network, data, { learningRate, hyperLr, targetRate: targetRate ?? 1, discount, seed, batch });
  return new Agent(known, network, learner, data);
}

export { ENVIRONMENTS };
