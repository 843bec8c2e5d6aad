"""The paper's experiments as literals, and its printed numbers.

`reproduce` runs an experiment at full size into result files that the book reads with `result`.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas

from hanq import scores
from hanq.algorithm import DQN, HANQ, SSAQ
from hanq.dataset import collect
from hanq.records import load, save
from hanq.run import GRID
from hanq.training import train

LEARNING_RATES = [10**-1, 10**-1.5, 10**-2, 10**-2.5, 10**-3, 10**-3.5, 10**-4]  # section 11
TARGET_RATES = [1.0, 1e-1, 1e-2, 1e-3, 1e-4]
SEEDS = range(30)
TUNING_SEEDS = range(100, 105)
FULL = dict(gradient_steps=200_000, eval_every=2_000, eval_episodes=10)
QUICK = dict(gradient_steps=1_000, eval_every=200, eval_episodes=5)
QUICK_SEEDS, QUICK_TUNING_SEEDS = range(3), range(100, 102)


@dataclass(frozen=True)
class Experiment:
    """Rows of a table or curves of a figure, on one environment.

    protocol: "grid" trains every grid point on `SEEDS`; "tuned" chooses the best of the grid on
    `TUNING_SEEDS` and trains the chosen point alone on `SEEDS`, which took no part in the choice.
    """

    environment: str
    protocol: str
    rows: dict
    """{label: (algorithm, settings of hanq.train)}"""


EXPERIMENTS = {
    "headline": Experiment("Pendulum", "tuned", {
        "DQN": (DQN, dict(learning_rate=LEARNING_RATES, target_rate=TARGET_RATES)),
        "DQN-without-target": (DQN, dict(learning_rate=LEARNING_RATES)),
        "HANQ": (HANQ, dict(learning_rate=LEARNING_RATES, hyper_lr=0.1)),
    }),
    "fig3a": Experiment("Pendulum", "grid", {
        "DQN": (DQN, dict(learning_rate=LEARNING_RATES, target_rate=1e-3)),
        "SSAQ": (SSAQ, dict(learning_rate=LEARNING_RATES, target_rate=1e-3)),
    }),
    "fig3b": Experiment("Pendulum", "grid", {
        "DQN": (DQN, dict(learning_rate=LEARNING_RATES)),
        "SSAQ": (SSAQ, dict(learning_rate=LEARNING_RATES)),
    }),
    "fig7": Experiment("Pendulum", "grid", {
        "HSSAQ": (SSAQ, dict(learning_rate=10**-2.5, hyper_lr=1e-4)),
    }),
}  # fmt: skip


def numbers():
    """Every score that the paper prints: table, environment, algorithm, setting, mean, ci_low, ci_high."""
    return pandas.read_csv(Path(__file__).with_name("paper.csv"), dtype={"table": str}).fillna({"setting": ""})


def number(table, environment, algorithm, setting):
    """(mean, ci_low, ci_high) of one printed score; KeyError where the paper has no such score."""
    printed = numbers()
    wanted = dict(table=table, environment=environment, algorithm=algorithm, setting=setting)
    rows = printed[(printed[list(wanted)] == list(wanted.values())).all(axis=1)]
    if len(rows) != 1:
        raise KeyError(f"the paper prints {len(rows)} scores for {wanted}")
    return tuple(rows[["mean", "ci_low", "ci_high"]].iloc[0])


def reproduce(name, out, *, quick=False, engine="auto"):
    """Run one experiment; returns {label: path of its result file}.

    name: a key of `EXPERIMENTS`. out: folder; a finished file is kept, an unfinished run goes on
    from its checkpoint. quick: few seeds and 1,000 steps, to try the command; its files are
    marked so. Raises ValueError for an unknown name.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"experiment={name!r} is unknown: use one of {tuple(EXPERIMENTS)}")
    experiment, ending = EXPERIMENTS[name], "-quick.nc" if quick else ".nc"
    report, tuning = (QUICK_SEEDS, QUICK_TUNING_SEEDS) if quick else (SEEDS, TUNING_SEEDS)
    size, paths = (QUICK if quick else FULL) | {"engine": engine}, {}
    for label, (algorithm, settings) in experiment.rows.items():
        stem = Path(out) / f"{name}-{label}"
        if experiment.protocol == "tuned":
            tuned = _run(experiment, algorithm, settings | size, tuning, f"{stem}-tuning{ending}")
            settings = settings | scores.best_of_grid(scores.average_over_training(tuned.score))
            settings = {axis: settings[axis] for axis in GRID}
        paths[label] = Path(f"{stem}{ending}")
        _run(experiment, algorithm, settings | size, report, paths[label])
    return paths


def _run(experiment, algorithm, settings, seeds, path):
    """Curves of one training, from its result file where there is one."""
    path = Path(path)
    if path.exists():
        return load(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = path.with_suffix(".checkpoint")
    run = train(algorithm, collect(experiment.environment, seeds), **settings, checkpoint=checkpoint)
    save(run.curves.assign_attrs(protocol=experiment.protocol), path)
    checkpoint.unlink(missing_ok=True)
    print(f"{path} written after {run.curves.attrs['wall_seconds']:.0f} s of computing", flush=True)
    return run.curves


def result(name, label, folder="results"):
    """The committed curves of one row of an experiment; checked against their checksum."""
    return load(Path(folder) / f"{name}-{label}.nc")
