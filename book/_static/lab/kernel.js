// An agent's arithmetic: the program of network.c, compiled to WebAssembly, with a memory of its own for each agent.

import { NETWORK_WASM } from "./network_wasm.js";

const PAGE = 2 ** 16; // bytes of WebAssembly's memory
const PREDICTORS = ["none", "one number", "metapredictor"];
const NORMS = ["none", "LayerNorm", "l2"];
const PLACES = ["hidden_0", "head", "predictor", "main_norm", "predictor_norm"];
export const LIMITS = { features: 1024, actions: 8 }; // of network.c

const PROGRAM = Uint8Array.from(atob(NETWORK_WASM), (character) => character.charCodeAt(0));
let compiled = null; // once, whoever needs it first

/** Why no agent can be trained here, or null. */
export function hindrance() {
  if (globalThis.WebAssembly?.validate(PROGRAM)) return null;
  return "this browser has no WebAssembly with vectors (SIMD): use one of 2023 or later";
}

function compile() {
  const why = hindrance();
  if (why) throw new Error(why);
  return new WebAssembly.Module(PROGRAM);
}

function instantiate() {
  compiled ??= compile();
  return new WebAssembly.Instance(compiled, { math: { exp: Math.exp } }).exports;
}

/** Arrays in a program's memory, {name: [type, length]} -> {name: view}; their byteOffset is what C calls a pointer. */
function allocate(program, sizes) {
  let end = program.__heap_base.value;
  const starts = {};
  for (const [name, [Type, length]] of Object.entries(sizes)) {
    starts[name] = Math.ceil(end / 16) * 16;
    end = starts[name] + length * Type.BYTES_PER_ELEMENT;
  }
  const missing = end - program.memory.buffer.byteLength;
  if (missing > 0) program.memory.grow(Math.ceil(missing / PAGE));
  const view = ([name, [Type, length]]) => [name, new Type(program.memory.buffer, starts[name], length)];
  return Object.fromEntries(Object.entries(sizes).map(view));
}

/** What network.c calls its layout, in its order. */
function layoutOf({ algorithm, inputs, actions, features, starts }) {
  const norms = [algorithm.mainNorm, algorithm.predictorNorm].map((norm) => NORMS.indexOf(norm));
  const structure = [inputs, actions, features, PREDICTORS.indexOf(algorithm.predictor), ...norms, Number(algorithm.normFirst)];
  return structure.concat(PLACES.flatMap((layer) => [starts[`${layer}.weight`] ?? -1, starts[`${layer}.bias`] ?? -1]));
}

export class Kernel {
  /** data: of `collect`, which is copied; batch: how many transitions a gradient step takes. */
  constructor(network, data, batch) {
    const program = instantiate(), { inputs, actions, size } = network, vector = [Float32Array, size];
    const state = { params: vector, targetParams: vector, gradient: vector, nextGradient: vector };
    const logged = Object.entries(data).filter(([, value]) => ArrayBuffer.isView(value));
    const transitions = Object.fromEntries(logged.map(([name, array]) => [name, [array.constructor, array.length]]));
    const seen = { indices: [Int32Array, batch], observation: [Float32Array, inputs] };
    Object.assign(this, { program, inputs }, allocate(program, { ...state, ...transitions, ...seen }));
    for (const [name, array] of logged) this[name].set(array);
    const layout = layoutOf(network), { buffer } = program.memory;
    new Int32Array(buffer, program.layout.value, layout.length).set(layout);
    program.prepare();
    this.prediction = new Float32Array(buffer, program.present.value, 2); // scale and bias, and after them
    this.q = new Float32Array(buffer, program.present.value + this.prediction.byteLength, actions);
  }

  /** Q(s, a) of every action into `q`, for the row of `observations` or of `nextObservations`, or for `observation` (row 0). */
  forward(observations, row) {
    const { program, params } = this;
    program.forward(program.present.value, params.byteOffset, observations.byteOffset + 4 * row * this.inputs);
  }

  /** The same for an observation from anywhere. */
  see(observation) {
    this.observation.set(observation);
    this.forward(this.observation, 0);
  }

  /** The predictor's scale for what `forward` has seen last; 1 without a predictor. */
  scale() {
    this.program.predict(this.program.present.value, this.params.byteOffset);
    return this.prediction[0];
  }

  /** The best action, the first of equals; one whose value is NaN where there is one. */
  best() {
    return this.program.best(this.program.present.value);
  }

  /**
   * The gradient of the mean squared Bellman error of the transitions at `indices`: into `gradient`, by the parameters of
   * Q(s, a), which is the semi-gradient; if `residual`, into `nextGradient`, by `nextParams`, which are those of Q(s', a').
   */
  differentiate(nextParams, discount, residual) {
    this.gradient.fill(0);
    this.nextGradient.fill(0);
    const { params, indices, observations, actions, rewards, nextObservations, terminated, gradient, nextGradient } = this;
    const logged = [observations, actions, rewards, nextObservations, terminated].map((array) => array.byteOffset);
    const from = [params.byteOffset, nextParams.byteOffset, indices.length, indices.byteOffset];
    this.program.differentiate(...from, ...logged, discount, gradient.byteOffset, residual ? 1 : 0, nextGradient.byteOffset);
  }
}
