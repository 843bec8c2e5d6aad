"""Experiments on what the paper leaves open: one choice varied at a time, the rest at its default.

On Pendulum unless a label names another environment, most with 60,000 gradient steps (see `hanq.reproduction.protocol`);
"{choice}-{algorithm}-{value}", or where rows of the tables are varied, "{choice}-{table}-{environment}-{row}".
"""

from dataclasses import replace

import numpy as np

from hanq.algorithm import DQN, DQN_LN, HANQ
from hanq.reproduction.paper import BEST, LEARNING_RATES, TABLES, WITHOUT, Row, row, stem

RETIRED = {"hyper-HANQ-raw-decays": "5c658aa5e05c"}  # results whose algorithm is no longer here, and the commit that made them
FIRST_RATES = [10**-1.5, 10**-2, 10**-2.5]
PLAIN_STEPS = [10**-exponent for exponent in range(2, 11)]  # kappa where no Adam divides the slope by its size
BASELINES = {  # the paper's best rates, half a decade to either side, and what it says of the rest
    "DQN": Row((DQN,), dict(learning_rate=[10**-2, 10**-2.5, 10**-3], target_rate=1e-3)),
    "DQN-LN": Row((DQN_LN,), dict(learning_rate=[10**-3, 10**-3.5, 10**-4])),
    "HANQ": Row((HANQ,), dict(learning_rate=[10**-1, 10**-1.5, 10**-2], hyper_lr=0.1)),
}
ACROBOT = [  # all of its rows, the quick ones and those of the paper's main comparison first
    ("table1", "Acrobot", "DQN-LN", "target_rate=1"),
    ("table1", "Acrobot", "DQN-l2N", "target_rate=1"),
    ("table1", "Acrobot", "HANQ", "hyper_lr=0.1"),
    ("table1", "Acrobot", "DQN", "target_rate=1"),
    ("table1", "Acrobot", "DQN", BEST),
    ("table2", "Acrobot", "w/o any predictor", ""),
    ("table2", "Acrobot", "symmetrized", ""),
    ("table7", "Acrobot", "HANQ", "semi-gradient hyperobjective"),
    ("table1", "Acrobot", "DQN-LN", BEST),
    ("table1", "Acrobot", "DQN-l2N", BEST),
    ("table2", "Acrobot", "w/o metapredictor", ""),
    ("table2", "Acrobot", "w/o bias", ""),
    ("table2", "Acrobot", "w/o positive scale", ""),
    ("table3", "Acrobot", "w/o l2N", ""),
    ("table3", "Acrobot", "w/o LN", ""),
]
SELECTION = [  # rows whose interval does not overlap the paper's, and controls, whose does; small grids first
    ("table1", "Acrobot", "DQN-l2N", "target_rate=1"),
    ("table1", "Acrobot", "DQN-LN", "target_rate=1"),
    ("table9", "Pendulum", "DQN", "discount=0.75; target_rate=1"),
    ("table4", "Pendulum", "none + l2N", "hyper_lr=0"),  # the first of six controls
    ("table1", "Pendulum", "DQN", "target_rate=1"),
    ("table1", "Acrobot", "DQN", "target_rate=1"),
    ("table1", "Pendulum", "HANQ", "hyper_lr=0.1"),
    ("table1", "Acrobot", "HANQ", "hyper_lr=0.1"),
    ("table1", "CartPole", "HANQ", "hyper_lr=0.1"),
    ("table1", "CartPole", "DQN-l2N", BEST),
    ("table1", "Acrobot", "DQN", BEST),
    ("table1", "Acrobot", "DQN-LN", BEST),
    ("table2", "Acrobot", "w/o any predictor", ""),
    ("table2", "Acrobot", "symmetrized", ""),
    ("table7", "Acrobot", "HANQ", "semi-gradient hyperobjective"),
]


def rewards_at_level(data, level, discount):
    """Rewards (seeds, size) float32 that move every value by one number, which changes no problem.

    Each dataset's mean reward is multiplied by `level`, apart from what that does to terminations: values move by
    v = (level - 1) * mean / (1 - discount), and so rewards become r + v - discount * (1 - terminated) * v.
    """
    v = (level - 1) * data.rewards.mean(-1, keepdims=True, dtype=np.float64) / (1 - discount)
    return (data.rewards + v * (1 - discount * ~data.terminated)).astype(np.float32)


def vary_data(option, values):
    """Every baseline with each value of one option of the data."""
    return {f"{name}-{value}": replace(row, data={option: value}) for name, row in BASELINES.items() for value in values}


def vary(name, settings=None, **fields):
    """One baseline with other settings of `hanq.train`, and other fields of its algorithm."""
    row = BASELINES[name]
    return replace(row, algorithms=(replace(row.algorithms[0], **fields),), settings=row.settings | (settings or {}))


def of_tables(rows, **fields):
    """Rows of the tables, (table, environment, algorithm, setting), by their result's name, with other fields."""
    return {stem(table, environment, *score): replace(TABLES[table][tuple(score)], **fields) for table, environment, *score in rows}


VARIATIONS = {
    "default": BASELINES,
    "velocity": vary_data("initial_velocity", [1, 2, 4]),  # 1 is Gymnasium's own reset; the default is 8
    "episode": vary_data("episode_length", [1, 50, 100, 1000]),  # 1: every state by itself; the default is 200
    "reward": {  # the whole grid: rewards on another scale need an initial rate far from the usual one
        label: replace(one, settings=one.settings | {"learning_rate": LEARNING_RATES})
        for label, one in vary_data("reward_scale", [0.1, 0.01]).items()
    },
    "network": {
        "HANQ-plain-norm": vary("HANQ", norm_affine=False),
        "DQN-LN-plain-norm": vary("DQN-LN", norm_affine=False),
        "HANQ-detached": vary("HANQ", detached_predictor=True),
    },
    "hyper": {
        "HANQ-rate-last": vary("HANQ", rate_first=False),
        "HANQ-raw": vary("HANQ", dict(hyper_lr=[1e-2, 1e-3, 1e-4]), rate_form="raw"),
        "HANQ-raw-0.1": vary("HANQ", rate_form="raw"),
        "HANQ-plain": vary("HANQ", dict(hyper_lr=PLAIN_STEPS), rate_form="plain"),
        "HANQ-plain-0.1": vary("HANQ", rate_form="plain"),
        "HANQ-plain-rate-last": vary("HANQ", dict(hyper_lr=PLAIN_STEPS), rate_form="plain", rate_first=False),  # Algorithm 2 as printed
        "HANQ-square": vary("HANQ", dict(hyper_lr=[1e-1, 1e-2, 1e-3]), rate_form="square"),
        "HANQ-beta_2-0.99": vary("HANQ", hyper_beta_2=0.99),
        "HANQ-beta_2-0.9": vary("HANQ", hyper_beta_2=0.9),
        "HANQ-second-moment": vary("HANQ", hyper_second_moment=1e-8),  # as in the code of Chandra et al.
        "HANQ-kappa": vary("HANQ", dict(hyper_lr=[1.0, 0.3, 0.1, 0.03, 0.01])),
        "HANQ-finer": vary("HANQ", dict(learning_rate=[10**-1, 10**-1.25, 10**-1.5, 10**-1.75, 10**-2])),
    },
    "kappa": {  # Tables 2 and 3 with the kappa that is HANQ's best, where the tables tune it anew
        name.replace("/", "").replace(" ", "-"): row(algorithm, hyper_lr=0.1) for name, algorithm in WITHOUT.items()
    },
    "target": {  # at full size: Table 8 without hypergradient, at the target rate that its rows with a large kappa choose
        "DQN-0.01": row(DQN, target_rate=1e-2)
    },
    "starts": of_tables(  # at full size: evaluation from Gymnasium's reset, instead of every state as in the data
        [(table, "Pendulum", *score) for table in ("table1", "table2", "table3") for score in TABLES[table]],
        evaluation={"eval_velocity": 1.0},
    ),
    "limit": of_tables(ACROBOT, data={"episode_length": 200}),  # at full size: as Pendulum's, instead of Gymnasium's 500
    "ends": of_tables(  # at full size: no bootstrap where an episode of the data was cut off
        [*ACROBOT, ("table1", "Pendulum", "HANQ", "hyper_lr=0.1")], data={"time_limit_terminates": True}
    ),
    "selection": of_tables(SELECTION),  # at full size: the setting that is best on the seeds of the report, as in the paper
    "datasets": {
        f"{name}-{seed}": replace(row, settings=row.settings | {"learning_rate": row.settings["learning_rate"][1]}, shared_dataset=seed)
        for name, row in BASELINES.items()
        for seed in range(10)
    },
    "beyond": {  # HANQ on CartPole; its scale and bias as single numbers; no predictor; and none with discounts as short as it learns
        "CartPole-HANQ": Row((HANQ,), dict(learning_rate=FIRST_RATES, hyper_lr=0.1)),
        "CartPole-wo-metapredictor": Row((WITHOUT["w/o metapredictor"],), dict(learning_rate=FIRST_RATES, hyper_lr=0.1)),
        "CartPole-wo-any-predictor": Row(
            (WITHOUT["w/o any predictor"],), dict(learning_rate=FIRST_RATES, hyper_lr=0.1, discount=[0.99, 0.9, 0.8])
        ),
        "Pendulum-wo-any-predictor": Row(
            (WITHOUT["w/o any predictor"],), dict(learning_rate=FIRST_RATES, hyper_lr=0.1, discount=[0.99, 0.9, 0.8])
        ),
    }
    | {  # the same problems, all values moved by one number: rewards with their own mean, with none, and with its opposite
        f"{environment}-{name}-level-{level}": replace(BASELINES[name], settings=settings, data={"reward_level": level})
        for environment, name, settings in (
            ("Pendulum", "HANQ", dict(learning_rate=FIRST_RATES, hyper_lr=0.1)),
            ("Pendulum", "DQN", BASELINES["DQN"].settings),
            ("Acrobot", "HANQ", dict(learning_rate=[10**-2.5, 10**-3, 10**-3.5], hyper_lr=0.1)),
        )
        for level in (1.0, 0.0, -1.0)
    }
    | {  # without a predictor, at a discount where that learns; and with all values moved the other way
        f"Pendulum-wo-any-predictor-level-{level}": replace(
            row(WITHOUT["w/o any predictor"], learning_rate=FIRST_RATES, hyper_lr=0.1, discount=0.9), data={"reward_level": level}
        )
        for level in (1.0, 0.0, -1.0)
    }
    | {
        "Pendulum-HANQ-level-2.0": replace(
            BASELINES["HANQ"], settings=dict(learning_rate=FIRST_RATES, hyper_lr=0.1), data={"reward_level": 2.0}
        )
    },
}
