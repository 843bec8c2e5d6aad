// The environments of hanq/data/environments.py: sizes, score ranges, starts and dynamics, which are Gymnasium's.
//
// A state is a Float64Array that a step moves in place.

import { EVALUATION, uniform } from "./generator.js";

const { cos, sin, PI } = Math;
const TORQUES = [-2, 0, 2];
export const PENDULUM_MAX_SPEED = 8; // radians a second

const clamp = (value, bound) => Math.min(Math.max(value, -bound), bound);

/** An angle as one of [-pi, pi). */
export function wrapped(angle) {
  const turned = (angle + PI) % (2 * PI);
  return (turned < 0 ? turned + 2 * PI : turned) - PI;
}

function pendulumStep(state, action) {
  const [angle, velocity] = state, torque = TORQUES[action];
  const reward = -(wrapped(angle) ** 2 + 0.1 * velocity ** 2 + 0.001 * torque ** 2);
  state[1] = clamp(velocity + (15 * sin(angle) + 3 * torque) * 0.05, PENDULUM_MAX_SPEED); // g = 10, mass and length 1
  state[0] = angle + state[1] * 0.05;
  return { reward, terminated: false };
}

/** d state / d time; every mass, length and inertia is 1, centres at 0.5. */
function acrobotDerivative([angle1, angle2, velocity1, velocity2], torque) {
  const d1 = 0.25 + (1 + 0.25 + cos(angle2)) + 2;
  const d2 = 0.25 + 0.5 * cos(angle2) + 1;
  const phi2 = 0.5 * 9.8 * cos(angle1 + angle2 - PI / 2);
  const phi1 =
    -0.5 * velocity2 ** 2 * sin(angle2) - velocity2 * velocity1 * sin(angle2) + 1.5 * 9.8 * cos(angle1 - PI / 2) + phi2;
  const numerator = torque + (d2 / d1) * phi1 - 0.5 * velocity1 ** 2 * sin(angle2) - phi2;
  const acceleration2 = numerator / (0.25 + 1 - d2 ** 2 / d1);
  return [velocity1, velocity2, -(d2 * acceleration2 + phi1) / d1, acceleration2];
}

/** One classic Runge-Kutta step of 0.2 seconds. */
function acrobotStep(state, action) {
  const start = Array.from(state), duration = 0.2;
  let slope = [0, 0, 0, 0];
  for (const [reach, weight] of [[0, 1], [0.5, 2], [0.5, 2], [1, 1]]) {
    slope = acrobotDerivative(start.map((value, i) => value + reach * duration * slope[i]), action - 1);
    for (let i = 0; i < 4; i++) state[i] += (duration / 6) * weight * slope[i];
  }
  for (let i = 0; i < 2; i++) {
    while (state[i] > PI) state[i] -= 2 * PI;
    while (state[i] < -PI) state[i] += 2 * PI;
  }
  state[2] = clamp(state[2], 4 * PI);
  state[3] = clamp(state[3], 9 * PI);
  const terminated = -cos(state[0]) - cos(state[1] + state[0]) > 1;
  return { reward: terminated ? 0 : -1, terminated };
}

function cartPoleStep(state, action) {
  const [x, xVelocity, angle, velocity] = state, force = action === 1 ? 10 : -10;
  const push = (force + 0.05 * velocity ** 2 * sin(angle)) / 1.1; // pole 0.1 of a total mass of 1.1
  const acceleration = (9.8 * sin(angle) - cos(angle) * push) / (0.5 * (4 / 3 - (0.1 * cos(angle) ** 2) / 1.1));
  state[0] = x + 0.02 * xVelocity;
  state[1] = xVelocity + 0.02 * (push - (0.05 * acceleration * cos(angle)) / 1.1);
  state[2] = angle + 0.02 * velocity;
  state[3] = velocity + 0.02 * acceleration;
  const terminated = Math.abs(state[0]) > 2.4 || Math.abs(state[2]) > (12 * 2 * PI) / 360;
  return { reward: 1, terminated };
}

class Environment {
  /** sizes: numbers by name, see below. dynamics: step and observed, functions of a state; bounds: of the start's numbers. */
  constructor(name, sizes, dynamics) {
    Object.assign(this, { name, ...sizes, ...dynamics });
  }

  /** What the agent sees of a state: Float32Array(observationSize). */
  observe(state) {
    return Float32Array.from(this.observed(state));
  }

  /** The start of an evaluation episode, a function of the three integers. */
  start(seed, gradientStep, episode) {
    return Float64Array.from(this.bounds, (bound, i) => (2 * uniform(seed, EVALUATION, gradientStep, 4 * episode + i) - 1) * bound);
  }

  /** The start of an episode of the offline data, from the next numbers of a generator, as Gymnasium draws it. */
  collectionStart(random) {
    const state = Float64Array.from(this.bounds, (bound) => -bound + 2 * bound * random());
    return this.roundedStart ? state.map(Math.fround) : state;
  }

  /** Normalised return: 0 at lowReturn, 100 at highReturn. */
  score(return_) {
    return (100 * (return_ - this.lowReturn)) / (this.highReturn - this.lowReturn);
  }
}

const PENDULUM = new Environment(
  "Pendulum",
  { observationSize: 3, actionCount: 3, stateSize: 2, horizon: 200, lowReturn: -1500, highReturn: -200, datasetSize: 1000 },
  { step: pendulumStep, observed: (state) => [cos(state[0]), sin(state[0]), state[1]], bounds: [PI, PENDULUM_MAX_SPEED] },
);
const ACROBOT = new Environment(
  "Acrobot",
  { observationSize: 6, actionCount: 3, stateSize: 4, horizon: 500, lowReturn: -500, highReturn: -100, datasetSize: 10_000 },
  {
    step: acrobotStep,
    observed: ([a, b, c, d]) => [cos(a), sin(a), cos(b), sin(b), c, d],
    bounds: [0.1, 0.1, 0.1, 0.1],
    roundedStart: true, // Gymnasium keeps it in single precision
  },
);
const CARTPOLE = new Environment(
  "CartPole",
  { observationSize: 4, actionCount: 2, stateSize: 4, horizon: 500, lowReturn: 0, highReturn: 500, datasetSize: 10_000 },
  { step: cartPoleStep, observed: (state) => state, bounds: [0.05, 0.05, 0.05, 0.05] },
);

export const ENVIRONMENTS = { Pendulum: PENDULUM, Acrobot: ACROBOT, CartPole: CARTPOLE };
