"""Experiments on what the paper leaves open: one choice varied at a time, the rest at its default.

All on Pendulum, with 60,000 gradient steps (see `hanq.protocol`); "{choice}-{algorithm}-{value}".
"""

from dataclasses import replace

from hanq.algorithm import DQN, DQN_LN, HANQ
from hanq.paper import Row

BASELINES = {  # the paper's best rates, half a decade to either side, and what it says of the rest
    "DQN": Row((DQN,), dict(learning_rate=[10**-2, 10**-2.5, 10**-3], target_rate=1e-3)),
    "DQN-LN": Row((DQN_LN,), dict(learning_rate=[10**-3, 10**-3.5, 10**-4])),
    "HANQ": Row((HANQ,), dict(learning_rate=[10**-1, 10**-1.5, 10**-2], hyper_lr=0.1)),
}


def vary_data(option, values):
    """Every baseline with each value of one option of the data."""
    return {f"{name}-{value}": replace(row, data={option: value}) for name, row in BASELINES.items() for value in values}


VARIATIONS = {
    "default": BASELINES,
    "velocity": vary_data("initial_velocity", [1, 2, 4]),  # 1 is Gymnasium's own reset; the default is 8
    "episode": vary_data("episode_length", [50, 100, 1000]),  # the default is 200
    "reward": vary_data("reward_scale", [0.1, 0.01]),
    "datasets": {
        f"{name}-{seed}": replace(row, settings=row.settings | {"learning_rate": row.settings["learning_rate"][1]}, shared_dataset=seed)
        for name, row in BASELINES.items() for seed in range(10)
    },
}  # fmt: skip
