// Offline data from uniformly random actions, as hanq/data/collection.py collects them through Gymnasium.

import { BEHAVIOUR, fillIntegers } from "./generator.js";
import { pcg64 } from "./pcg64.js";

/** One dataset: `size` transitions of an environment, in arrays one after another; the same for the same seed. */
export function collect(environment, seed, size) {
  const width = environment.observationSize;
  const data = {
    size,
    observations: new Float32Array(size * width),
    actions: new Int32Array(size),
    rewards: new Float32Array(size),
    nextObservations: new Float32Array(size * width),
    terminated: new Uint8Array(size),
  };
  fillIntegers(data.actions, environment.actionCount, seed, BEHAVIOUR, 0);
  const random = pcg64(seed);
  let state = environment.collectionStart(random), age = 0;
  for (let i = 0; i < size; i++) {
    data.observations.set(environment.observe(state), i * width);
    const { reward, terminated } = environment.step(state, data.actions[i]);
    data.nextObservations.set(environment.observe(state), i * width);
    data.rewards[i] = reward;
    data.terminated[i] = terminated;
    age++;
    if (terminated || age === environment.horizon) {
      state = environment.collectionStart(random);
      age = 0;
    }
  }
  return data;
}
