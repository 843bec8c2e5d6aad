// An algorithm's networks, one observation at a time: hanq.Network, hanq.reference's functions of one, and their derivative.

import { Path } from "./features.js";
import { fillUniform, INITIAL_WEIGHTS } from "./generator.js";

/** Shapes of the parameters by name, in the order in which hanq keeps them. */
function shapesOf({ predictor, mainNorm, predictorNorm }, inputs, actions, features) {
  const shapes = { "hidden_0.weight": [features, inputs], "hidden_0.bias": [features] };
  Object.assign(shapes, { "head.weight": [actions, features], "head.bias": [actions] });
  if (predictor === "metapredictor") shapes["predictor.weight"] = [2, features];
  if (predictor !== "none") shapes["predictor.bias"] = [predictor === "metapredictor" ? 2 : 1];
  const normed = { main_norm: mainNorm, predictor_norm: predictor === "metapredictor" ? predictorNorm : "none" };
  for (const name in normed) {
    if (normed[name] === "LayerNorm") Object.assign(shapes, { [`${name}.weight`]: [features], [`${name}.bias`]: [features] });
  }
  return shapes;
}

/**
 * What a network is made of. All parameters lie in one vector, as in hanq, but for the hidden weights: here there is a row
 * for each input, not for each feature, so that the inner loops run over the features.
 */
export class Network {
  constructor(algorithm, inputs, actions, features) {
    Object.assign(this, { algorithm, inputs, actions, features });
    this.shapes = shapesOf(algorithm, inputs, actions, features);
    this.size = Object.values(this.shapes).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b), 0);
  }

  /** Each parameter of a vector by name: a view of it, or a list of views, one for each row of a matrix. */
  views(vector) {
    const views = {};
    let start = 0;
    const next = (length) => vector.subarray(start, (start += length));
    for (const [name, [rows, columns]] of Object.entries(this.shapes)) {
      const [count, length] = name === "hidden_0.weight" ? [columns, rows] : [rows, columns];
      views[name] = columns ? Array.from({ length: count }, () => next(length)) : next(rows);
    }
    return views;
  }

  /** Parameters before training, Float32Array(size), a function of the seed: PyTorch's ranges, within 1 / sqrt(inputs). */
  initialParameters(seed) {
    const drawn = new Float32Array(this.size), params = new Float32Array(this.size), views = this.views(params);
    fillUniform(drawn, seed, INITIAL_WEIGHTS, 0);
    let start = 0;
    for (const [name, shape] of Object.entries(this.shapes)) {
      const layer = name.split(".")[0], fanIn = this.shapes[`${layer}.weight`]?.[1];
      const root = Math.fround(Math.sqrt(fanIn));
      const value = (i) => (fanIn ? Math.fround(2 * drawn[start + i] - 1) / root : name === "predictor.bias" || name.endsWith("norm.weight") ? 1 : 0);
      if (name === "hidden_0.weight") views[name].forEach((row, i) => row.forEach((_, f) => (row[f] = value(f * this.inputs + i))));
      else [views[name]].flat().forEach((row, k) => row.forEach((_, f) => (row[f] = value(k * row.length + f))));
      start += shape.reduce((a, b) => a * b);
    }
    return params;
  }

  /** Parameters by name, each flat in hanq's order. */
  named(params) {
    const named = {};
    for (const [name, view] of Object.entries(this.views(params))) {
      if (name === "hidden_0.weight") named[name] = Float32Array.from({ length: this.features * this.inputs }, (_, i) => view[i % this.inputs][Math.floor(i / this.inputs)]);
      else named[name] = Float32Array.from([view].flat().flatMap((row) => Array.from(row)));
    }
    return named;
  }
}

/** a . b, in four sums that do not wait for each other. */
function dot(a, b) {
  const whole = a.length - (a.length % 4);
  let sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
  for (let i = 0; i < whole; i += 4) {
    sum0 += a[i] * b[i];
    sum1 += a[i + 1] * b[i + 1];
    sum2 += a[i + 2] * b[i + 2];
    sum3 += a[i + 3] * b[i + 3];
  }
  for (let i = whole; i < a.length; i++) sum0 += a[i] * b[i];
  return sum0 + sum1 + (sum2 + sum3);
}

/** A network with weights, and what it makes of one observation. */
export class Branch {
  constructor(network) {
    const { algorithm, actions, features } = network;
    this.network = network;
    this.vector = new Float64Array(network.size);
    this.weights = network.views(this.vector);
    this.hidden = new Float64Array(features); // before the ReLU
    this.hiddenSlopes = new Float64Array(features);
    const path = (norm, name) => new Path(features, norm, algorithm.normFirst, this.weights[`${name}.weight`], this.weights[`${name}.bias`]);
    this.main = path(algorithm.mainNorm, "main_norm");
    this.meta = algorithm.predictor === "metapredictor" ? path(algorithm.predictorNorm, "predictor_norm") : null;
    this.q = new Float64Array(actions);
    this.scale = 1; // the predictor's
    this.bias = 0;
  }

  load(params) {
    this.vector.set(params);
  }

  /** Q(s, a) of every action, into `q`; the observation is the numbers of `observations` from `at` on. */
  forward(observations, at) {
    const rows = this.weights["hidden_0.weight"], bias = this.weights["hidden_0.bias"], hidden = this.hidden, n = hidden.length;
    const first = rows[0], second = rows[1], third = rows[2]; // at once, for the pendulum has no more
    const x = observations[at], y = observations[at + 1], z = observations[at + 2];
    for (let f = 0; f < n; f++) hidden[f] = bias[f] + x * first[f] + y * second[f] + z * third[f];
    for (let i = 3; i < rows.length; i++) {
      const row = rows[i], input = observations[at + i];
      for (let f = 0; f < n; f++) hidden[f] += input * row[f];
    }
    this.main.forward(hidden);
    const heads = this.weights["head.weight"], constants = this.weights["head.bias"];
    for (let a = 0; a < heads.length; a++) this.q[a] = dot(heads[a], this.main.outputs) + constants[a];
  }

  /** The predictor's scale and bias of the observation that `forward` has seen. */
  predict() {
    const constants = this.weights["predictor.bias"];
    if (this.meta) {
      const heads = this.weights["predictor.weight"];
      this.meta.forward(this.hidden);
      this.scale = Math.exp(dot(heads[0], this.meta.outputs) + constants[0]);
      this.bias = dot(heads[1], this.meta.outputs) + constants[1];
    } else if (constants) this.scale = constants[0];
  }

  /** The best action, the first of equals. A NaN among the Q-values is the highest. */
  best() {
    let best = 0;
    for (let a = 1; a < this.q.length; a++) if (this.q[a] > this.q[best] || (this.q[a] !== this.q[a] && this.q[best] === this.q[best])) best = a;
    return best;
  }

  /**
   * Add the derivative of slope * (scale * Q(s, action) + bias), of Q(s, action) alone if not `predicted`, to `slopes`:
   * views of a gradient.
   */
  backward(observations, at, action, slope, predicted, slopes) {
    const hiddenSlopes = this.hiddenSlopes.fill(0);
    this.main.slopes.fill(0);
    const ofQ = predicted ? slope * this.scale : slope;
    this.headBackward(this.main, "head", action, ofQ, slopes);
    this.main.backward(this.hidden, hiddenSlopes, slopes["main_norm.weight"], slopes["main_norm.bias"]);
    if (predicted && this.meta) {
      this.meta.slopes.fill(0);
      this.headBackward(this.meta, "predictor", 0, ofQ * this.q[action], slopes); // d exp(x) = exp(x) dx
      this.headBackward(this.meta, "predictor", 1, slope, slopes);
      this.meta.backward(this.hidden, hiddenSlopes, slopes["predictor_norm.weight"], slopes["predictor_norm.bias"]);
    } else if (predicted && slopes["predictor.bias"]) slopes["predictor.bias"][0] += slope * this.q[action];
    this.hiddenBackward(observations, at, slopes);
  }

  headBackward(path, name, k, slope, slopes) {
    const weights = this.weights[`${name}.weight`][k], weightSlopes = slopes[`${name}.weight`][k], { outputs, slopes: outputSlopes } = path;
    slopes[`${name}.bias`][k] += slope;
    for (let f = 0; f < outputs.length; f++) {
      weightSlopes[f] += slope * outputs[f];
      outputSlopes[f] += slope * weights[f];
    }
  }

  hiddenBackward(observations, at, slopes) {
    const rows = slopes["hidden_0.weight"], bias = slopes["hidden_0.bias"], hiddenSlopes = this.hiddenSlopes, n = hiddenSlopes.length;
    const first = rows[0], second = rows[1], third = rows[2];
    const x = observations[at], y = observations[at + 1], z = observations[at + 2];
    for (let f = 0; f < n; f++) {
      const slope = hiddenSlopes[f];
      bias[f] += slope;
      first[f] += x * slope;
      second[f] += y * slope;
      third[f] += z * slope;
    }
    for (let i = 3; i < rows.length; i++) {
      const row = rows[i], input = observations[at + i];
      for (let f = 0; f < n; f++) row[f] += input * hiddenSlopes[f];
    }
  }
}
