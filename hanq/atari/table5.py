"""`python -m hanq table5`: the paper's Table 5, its four rows on Seaquest, in one command.

Every row and learning rate is one training of all seeds (and of DQN's three target rates) side by side. What is
finished is kept and what was stopped goes on; a row's result file is written when its learning rates are done.
The paper's size is made for a GPU, where nothing of this has been measured. On a CPU give it a process a row, few
learning rates, one target rate and few steps: the file says how many.
"""

import json
from pathlib import Path

import numpy as np
import xarray

from hanq import paper, records, scores
from hanq.atari import command
from hanq.training import axis

ROWS = {paper.file_name(name): row for (name, _), row in paper.SEAQUEST.items()}
SHOWN = ("seaquest-HANQ", "seaquest-DQN-LN")  # results that keep their best agent, 3.5 MB each: the book shows them playing
ORIGIN = ("command", "commit", "date", "machine", "device", "engine", "frames", "cuda_graph", "wall_seconds")


def add_arguments(parser):
    """The command's own arguments, on an argparse parser."""
    parser.add_argument("--row", choices=ROWS, nargs="+", default=list(ROWS), help="one or several")
    parser.add_argument("--learning-rate", type=float, nargs="+", default=paper.ATARI_LEARNING_RATES, help="default: the paper's")
    parser.add_argument("--target-rate", type=float, nargs="+", default=paper.ATARI_TARGET_RATES, help="DQN's, default: the paper's")
    command.add_training_arguments(parser, seeds=list(paper.SEEDS))
    parser.add_argument("--work", default="seaquest", help="folder of the frames, checkpoints, logs and trained agents")
    parser.add_argument("--out", default="book/results", help="folder of the result files")


def run(options):
    """Train what is missing and write a result for each row."""
    axis("learning_rate", options.learning_rate)  # for repeated ones: each is a training of its own
    every = {label: settings_of(ROWS[label], options.learning_rate, options.target_rate) for label in options.row}
    counts = {name: getattr(options, name) for name in command.COUNTS}
    for settings in every.values():
        for rates in settings:
            command.check(rates, counts, options)
    for label, settings in every.items():
        (algorithm,) = ROWS[label].algorithms
        runs = []
        for rates in settings:
            path = Path(options.work) / f"{command.file_name(label, rates, options)}.nc"
            runs.append(command.trained(path, algorithm, rates, options))
            path.with_name(f"{path.stem}.checkpoint").unlink(missing_ok=True)  # 40 MB an agent
            print(f"{path}: learning rate {len(runs)} of {len(settings)} is done", flush=True)
        name = result_name(label, options.precision)
        path, result = Path(options.out) / f"{name}.nc", combined(runs)
        records.save(with_policy(result, runs) if name in SHOWN else result, path)
        print(f"{path} is written", flush=True)


def result_name(label, precision):
    """What a row's result is called: its precision is named unless it is the usual one."""
    return f"seaquest-{label}" if precision == "float32" else f"seaquest-{label}-{precision}"


def settings_of(row, learning_rates, target_rates):
    """What `command.trained` is given for each learning rate: values of each of `command.AXES`.

    target_rates: for the row that has a grid of them.
    """
    settings = row.settings | {"target_rate": target_rates} if "target_rate" in row.settings else row.settings
    usual = {name: np.atleast_1d(settings.get(name, value)).tolist() for name, value in command.AXES.items()}
    return [usual | {"learning_rate": [rate]} for rate in learning_rates]


def combined(runs):
    """A row's result: the curves of its runs, one a learning rate.

    attrs: those of the last run, the seconds of all, and what else differs among them in `trainings`.
    """
    curves = xarray.concat([run.curves for run in runs], "learning_rate")
    trainings = [
        {name: run.curves.attrs[name] for name in ORIGIN if name in run.curves.attrs}
        | {"learning_rate": run.curves.learning_rate.item()}
        for run in runs
    ]
    curves.attrs = runs[-1].curves.attrs | {
        "protocol": "grid", "trainings": json.dumps(trainings),
        "wall_seconds": round(sum(training["wall_seconds"] for training in trainings), 3),
    }  # fmt: skip
    return curves


def with_policy(curves, runs):
    """`combined`'s curves and `policy`, the best agent's last parameters: (parameters,) float32, of half precision.

    The best is that of the grid, by the score averaged over training and seeds, and its first seed; the attribute
    `policy` says which that is.
    """
    best = scores.best_of_grid(scores.average_over_training(curves.score))
    (run,) = [run for run in runs if run.curves.learning_rate.item() == best["learning_rate"]]
    with np.errstate(over="ignore"):  # a diverged agent's parameters may be beyond half precision
        half = run.parameters.sel(best).isel(seed=0).values.astype(np.float16).astype(np.float32)
    return curves.assign(policy=("parameter", half)).assign_attrs(policy=json.dumps(best | {"seed": curves.seed[0].item()}))
