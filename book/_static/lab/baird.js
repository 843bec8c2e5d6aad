// Baird's counterexample (1995): seven states, all rewards 0, every transition to the seventh; expected updates, no noise.

const FEATURES = Array.from({ length: 7 }, (_, state) =>
  Array.from({ length: 8 }, (_, weight) => {
    if (state === 6) return [0, 0, 0, 0, 0, 0, 1, 2][weight]; // v(s_7) = w_7 + 2 w_8
    return weight === state ? 2 : weight === 7 ? 1 : 0; // v(s_i) = 2 w_i + w_8
  }),
);

/**
 * The weights of the chapter on Q-learning before their first update. residual: whether the target is differentiated too.
 * The true value of every state is 0.
 */
export function createBaird({ stepSize, discount = 0.99, residual = false }) {
  const weights = Float64Array.of(1, 1, 1, 1, 1, 1, 10, 1);
  const values = () => FEATURES.map((row) => row.reduce((sum, feature, i) => sum + feature * weights[i], 0));
  return {
    weights,
    values,
    updates: 0,
    largest: () => Math.max(...values().map(Math.abs)),
    step(n = 1) {
      for (; n > 0; n--, this.updates++) {
        const now = values(), errors = now.map((value) => value - discount * now[6]);
        for (let i = 0; i < 8; i++) {
          const slope = (row) => row[i] - (residual ? discount * FEATURES[6][i] : 0);
          weights[i] -= (stepSize * FEATURES.reduce((sum, row, state) => sum + errors[state] * slope(row), 0)) / 7;
        }
      }
    },
  };
}
