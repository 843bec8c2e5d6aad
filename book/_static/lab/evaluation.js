// How good an agent is now, as hanq/engines/evaluation.py measures it: greedy returns, Bellman error, scale.

/** The greedy action of a branch that has seen the observation; 0 where a Q-value is not finite. */
function greedy(branch) {
  return branch.q.every(Number.isFinite) ? branch.best() : 0;
}

/** One greedy episode from a state: the states it passes, its actions, and its return. */
export function rollout(environment, branch, start) {
  const state = Float64Array.from(start), states = [state.slice()], actions = [];
  let return_ = 0, over = false;
  while (!over) {
    branch.forward(environment.observe(state), 0);
    const action = greedy(branch);
    const { reward, terminated } = environment.step(state, action);
    return_ += reward;
    actions.push(action);
    states.push(state.slice());
    over = terminated || actions.length === environment.horizon;
  }
  return { states, actions, return_, score: environment.score(return_) };
}

/** Mean return of greedy episodes; their starts are a function of the seed and the step. */
export function meanReturn(environment, branch, seed, gradientStep, episodes) {
  let total = 0;
  for (let episode = 0; episode < episodes; episode++) {
    total += rollout(environment, branch, environment.start(seed, gradientStep, episode)).return_;
  }
  return total / episodes;
}

/** Means over the offline data: squared Bellman error without the predictor, the predictor's scale, and Q of the actions taken. */
export function bellmanError(branch, data, discount) {
  const width = branch.network.inputs;
  let error = 0, scale = 0, q = 0;
  for (let i = 0; i < data.size; i++) {
    branch.forward(data.nextObservations, i * width);
    const target = data.rewards[i] + (data.terminated[i] ? 0 : discount * branch.q[branch.best()]);
    branch.forward(data.observations, i * width);
    branch.predict();
    const taken = branch.q[data.actions[i]];
    error += (taken - target) ** 2;
    scale += branch.scale;
    q += taken;
  }
  return { bellmanError: error / data.size, scale: scale / data.size, qMean: q / data.size };
}
