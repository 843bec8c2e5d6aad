// How good an agent is now, as hanq/engines/evaluation.py measures it: greedy returns, Bellman error, scale.

/** The greedy action for what the kernel has seen; 0 where a Q-value is not finite. */
export function greedy(kernel) {
  return kernel.q.every(Number.isFinite) ? kernel.best() : 0;
}

/** One greedy episode from a state: the states it passes, its actions, and its return. */
export function rollout(environment, kernel, start) {
  const state = Float64Array.from(start), states = [state.slice()], actions = [];
  let return_ = 0, over = false;
  while (!over) {
    kernel.see(environment.observe(state));
    const action = greedy(kernel);
    const { reward, terminated } = environment.step(state, action);
    return_ += reward;
    actions.push(action);
    states.push(state.slice());
    over = terminated || actions.length === environment.horizon;
  }
  return { states, actions, return_, score: environment.score(return_) };
}

/** Mean return of greedy episodes; their starts are a function of the seed and the step. */
export function meanReturn(environment, kernel, seed, gradientStep, episodes) {
  let total = 0;
  for (let episode = 0; episode < episodes; episode++) {
    total += rollout(environment, kernel, environment.start(seed, gradientStep, episode)).return_;
  }
  return total / episodes;
}

/** Means over the offline data: squared Bellman error without the predictor, the predictor's scale, and Q of the actions taken. */
export function bellmanError(kernel, size, discount) {
  const { observations, actions, rewards, nextObservations, terminated, q } = kernel;
  let error = 0, scale = 0, total = 0;
  for (let i = 0; i < size; i++) {
    kernel.forward(nextObservations, i);
    const target = rewards[i] + (terminated[i] ? 0 : discount * q[kernel.best()]);
    kernel.forward(observations, i);
    scale += kernel.scale();
    const taken = q[actions[i]];
    error += (taken - target) ** 2;
    total += taken;
  }
  return { bellmanError: error / size, scale: scale / size, qMean: total / size };
}
