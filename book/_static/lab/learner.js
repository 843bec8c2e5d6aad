// One agent's gradient step, as in hanq/reference.py: Adam, the hypergradient and the target network. The kernel has the loss.
//
// The state between two steps is in single precision, as hanq keeps it.

import { fillIntegers, MINIBATCH } from "./generator.js";
import { Kernel } from "./kernel.js";

const BETA_1 = 0.9, BETA_2 = 0.999, EPSILON = 1e-8; // Adam's defaults, for weights and learning rate alike
const TINY = 1e-35; // far below what changes any weight, and still above the subnormal numbers of single precision

/** x, or 0 if it is tiny: what decays without end would become subnormal otherwise, and each step slower. NaN stays NaN. */
function unlessTiny(x) {
  return Math.abs(x) < TINY ? 0 : x;
}

function inner(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Trains one network; settings: learningRate, hyperLr (kappa), targetRate (beta, 1 without a target network), discount, seed, batch. */
export class Learner {
  constructor(network, data, settings) {
    Object.assign(this, { network, ...settings });
    this.kernel = new Kernel(network, data, settings.batch);
    this.gradientStep = 0;
    this.params = this.kernel.params; // theta and omega
    this.params.set(network.initialParameters(settings.seed));
    this.targetParams = this.targetRate === 1 ? this.params : this.kernel.targetParams; // theta bar
    this.targetParams.set(this.params);
    this.targetRest = new Float32Array(network.size); // what single precision leaves out of it
    this.firstMoment = new Float32Array(network.size);
    this.secondMoment = new Float32Array(network.size);
    this.direction = new Float32Array(network.size); // the last step was -learningRate * direction
    this.learningRate = Math.fround(this.learningRate); // alpha
    this.hyperFirstMoment = 0;
    this.hyperSecondMoment = 0;
    this.size = data.size;
  }

  /** One gradient step: the rate moves first, by the new minibatch's gradient along the last direction, Eqs. (5) and (6). */
  step() {
    const { kernel, params, targetParams, discount } = this, hypergradient = this.hyperLr > 0 && this.gradientStep > 0;
    fillIntegers(kernel.indices, this.size, this.seed, MINIBATCH, this.gradientStep + 1);
    if (hypergradient) {
      kernel.differentiate(params, discount, true);
      this.hyperStep();
    }
    if (!hypergradient || targetParams !== params) kernel.differentiate(targetParams, discount, false); // else it is known
    this.gradientStep++;
    this.weightStep();
    if (targetParams !== params) this.follow();
  }

  /** Move the learning rate against its hypergradient, Eqs. (5) and (7): Adam acts on its logarithm. */
  hyperStep() {
    const { gradient, nextGradient } = this.kernel, { direction } = this, count = this.gradientStep;
    const slope = -(inner(gradient, direction) + inner(nextGradient, direction)) * this.learningRate;
    this.hyperFirstMoment = Math.fround(BETA_1 * this.hyperFirstMoment + (1 - BETA_1) * slope);
    this.hyperSecondMoment = Math.fround(BETA_2 * this.hyperSecondMoment + (1 - BETA_2) * slope * slope);
    const root = Math.sqrt(this.hyperSecondMoment / (1 - BETA_2 ** count));
    const hyperDirection = this.hyperFirstMoment / (1 - BETA_1 ** count) / (root + EPSILON);
    this.learningRate = Math.fround(this.learningRate * Math.exp(-this.hyperLr * hyperDirection));
  }

  /** Move the weights along the semi-gradient, Eq. (6), by Adam. */
  weightStep() {
    const { params, firstMoment, secondMoment, direction, learningRate } = this, { gradient } = this.kernel;
    const unbias1 = 1 / (1 - BETA_1 ** this.gradientStep), unbias2 = 1 / (1 - BETA_2 ** this.gradientStep);
    for (let i = 0; i < params.length; i++) {
      const slope = gradient[i];
      firstMoment[i] = unlessTiny(BETA_1 * firstMoment[i] + (1 - BETA_1) * slope);
      secondMoment[i] = unlessTiny(BETA_2 * secondMoment[i] + (1 - BETA_2) * slope * slope);
      direction[i] = (firstMoment[i] * unbias1) / (Math.sqrt(secondMoment[i] * unbias2) + EPSILON);
      params[i] -= learningRate * direction[i];
    }
  }

  /** The target network's step, Eq. (2), and what rounding leaves out of it (Kahan, 1965). */
  follow() {
    const { params, targetParams, targetRest, targetRate } = this;
    for (let i = 0; i < params.length; i++) {
      const change = Math.fround(unlessTiny(targetRate * (params[i] - targetParams[i] - targetRest[i]) + targetRest[i]));
      const before = targetParams[i];
      targetParams[i] = before + change;
      targetRest[i] = change - (targetParams[i] - before);
    }
  }
}
