// Which parameters an algorithm's networks have, where each is stored and how it starts: hanq/algorithm/network.py and
// hanq/engines/population.py.

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
    this.starts = {}; // where each begins in the vector
    this.size = 0;
    for (const [name, shape] of Object.entries(this.shapes)) {
      this.starts[name] = this.size;
      this.size += shape.reduce((a, b) => a * b);
    }
  }

  /** Where each of a parameter's numbers, in hanq's order, lies in the vector here. */
  places(name) {
    const start = this.starts[name], { inputs, features } = this, length = this.shapes[name].reduce((a, b) => a * b);
    const place = name === "hidden_0.weight" ? (i) => (i % inputs) * features + Math.floor(i / inputs) : (i) => i;
    return Array.from({ length }, (_, i) => start + place(i));
  }

  /** Parameters before training, Float32Array(size), a function of the seed: PyTorch's ranges, within 1 / sqrt(inputs). */
  initialParameters(seed) {
    const drawn = new Float32Array(this.size), params = new Float32Array(this.size);
    fillUniform(drawn, seed, INITIAL_WEIGHTS, 0);
    for (const name in this.shapes) {
      const layer = name.split(".")[0], [, fanIn] = this.shapes[`${layer}.weight`] ?? [];
      const root = Math.fround(Math.sqrt(fanIn)), constant = layer === "predictor" || name.endsWith("norm.weight") ? 1 : 0;
      this.places(name).forEach((place, i) => {
        const number = drawn[this.starts[name] + i];
        params[place] = fanIn ? Math.fround(2 * number - 1) / root : constant; // a gain, an offset or SSAQ's one number
      });
    }
    return params;
  }

  /** Parameters by name, each flat in hanq's order. */
  named(params) {
    const values = (name) => Float32Array.from(this.places(name), (place) => params[place]);
    return Object.fromEntries(Object.keys(this.shapes).map((name) => [name, values(name)]));
  }
}
