"""`python -m hanq table5`: the four rows of the paper's Table 5, on Seaquest, in one command.

For each row and learning rate, all seeds (and DQN's three target rates) are trained side by side. Finished trainings are
kept, interrupted ones continue, and a row's result file is written once all of its learning rates are done. An experiment
of the paper's size needs a GPU, and has not been run on one. On a CPU, use one process per row, few learning rates, one
target rate and few steps; the result file records how many.
"""

import json
from contextlib import ExitStack

import numpy as np
import xarray

from hanq.atari import command
from hanq.data.foundations import records
from hanq.data.foundations.arguments import shown
from hanq.data.foundations.files import as_path, locked
from hanq.engines import checkpoint
from hanq.reproduction import paper
from hanq.reproduction.finished import check_same, held
from hanq.training import scores
from hanq.training.train import axis

ROWS = {paper.file_name(name): row for (name, _), row in paper.SEAQUEST.items()}
SHOWN = ("HANQ",)  # rows whose best agent is stored, at 3.5 MB each, because the book shows it playing
ORIGIN = ("command", "commit", "date", "machine", "device", "engine", "frames", "cuda_graph", "wall_seconds")


def add_arguments(parser):
    """Add the command's arguments to an argparse parser."""
    parser.add_argument("--row", choices=ROWS, nargs="+", default=list(ROWS), help="one or several")
    parser.add_argument("--learning-rate", type=float, nargs="+", default=paper.ATARI_LEARNING_RATES, help="default: the paper's")
    parser.add_argument("--target-rate", type=float, nargs="+", default=paper.ATARI_TARGET_RATES, help="DQN's, default: the paper's")
    command.add_training_arguments(parser, seeds=list(paper.SEEDS))
    parser.add_argument("--work", default="seaquest", help="folder of the frames, checkpoints, logs and trained agents")
    parser.add_argument("--out", default="book/results", help="folder of the result files")


def run(options):
    """Train what is missing and write a result for each row.

    Raises ValueError, before anything is trained, if an argument is bad, if a result would be lost (see `holds_all` and
    `command.finished`), or if another run is making one of the rows.
    """
    axis("learning_rate", options.learning_rate)  # refuses repeated rates, each of which would be trained separately
    if len(set(options.row)) < len(options.row):
        raise ValueError(f"row={shown(options.row)} repeats a row: name each once")
    work, out = as_path("work", options.work), as_path("out", options.out)
    rows = [(paper.path_of(result_name(label, options.precision), out), trainings_of(label, work, options)) for label in options.row]
    with ExitStack() as stack:
        for result, trainings in rows:
            stack.enter_context(locked("path", result))
            holds_all(result, trainings)
            for path, _, _, asked in trainings:
                command.finished(path, asked)
        for result, trainings in rows:
            if holds_all(result, trainings):
                print(f"{result} holds all of this", flush=True)
            else:
                train_row(result, trainings, options)


def trainings_of(label, work, options):
    """List (path, algorithm, rates, what is asked for) for each learning rate of a row. Raises ValueError for a bad argument."""
    (algorithm,) = ROWS[label].algorithms
    return [
        (work / f"{command.file_name(label, rates, options)}.nc", algorithm, rates, command.asked_for(algorithm, rates, options))
        for rates in settings_of(ROWS[label], options.learning_rate, options.target_rate)
    ]


def train_row(result, trainings, options):
    """Train what is missing of one row and write its result."""
    runs = []
    for path, algorithm, rates, asked in trainings:
        runs.append(command.trained(path, algorithm, rates, options))
        kept = path.with_name(f"{path.stem}.checkpoint")
        steps = asked["gradient_steps"]
        if steps >= paper.SEAQUEST_STEPS and kept.exists() and checkpoint.reached(kept) <= steps:  # else a longer training goes on from it
            kept.unlink()  # 40 MB per agent
        print(f"{path}: learning rate {len(runs)} of {len(trainings)} is done", flush=True)
    curves = combined(runs)
    records.save(with_policy(curves, runs) if result.stem in SHOWN else curves, result)
    print(f"{result} is written", flush=True)


def holds_all(result, trainings):
    """Check whether a row's result file exists and already holds everything that its trainings are asked for.

    Raises ValueError, naming the difference, if the file holds learning rates, target rates, seeds, steps or evaluations
    that these trainings would not produce, or if it is of another experiment.
    """
    if not result.exists():
        return False
    curves, asked = records.load(result), trainings[0][-1]
    there = held(curves, result)
    rates = [rate for _, _, settings, _ in trainings for rate in settings["learning_rate"]]
    asked = asked | {"settings": asked["settings"] | {"learning_rate": rates}}
    least = asked | {"seeds": least_of(there["seeds"], asked["seeds"])}
    least["settings"] = {name: least_of(there["settings"][name], values) for name, values in asked["settings"].items()}
    if asked["gradient_steps"] > there.get("gradient_steps", 0):
        least["gradient_steps"] = there.get("gradient_steps")
        if asked["gradient_steps"] // asked["eval_every"] >= curves.sizes["gradient_step"]:  # a longer one may evaluate less often
            least["eval_every"] = there.get("eval_every")
    check_same(result, there, least, "ask for all that it holds, use another folder (--out), or move the file away")
    return least == asked


def least_of(values, asked):
    """Return the values in the file if they are among those asked for, otherwise those asked for."""
    return values if set(values) <= set(asked) else asked


def result_name(label, precision):
    """Name a row's result, including its precision unless that is float32."""
    return f"seaquest-{label}" if precision == "float32" else f"seaquest-{label}-{precision}"


def settings_of(row, learning_rates, target_rates):
    """List the arguments of `command.trained` for each learning rate: values for each of `command.AXES`.

    target_rates: used by the row that has a grid of them.
    """
    settings = row.settings | {"target_rate": target_rates} if "target_rate" in row.settings else row.settings
    usual = {name: np.atleast_1d(settings.get(name, value)).tolist() for name, value in command.AXES.items()}
    return [usual | {"learning_rate": [rate]} for rate in learning_rates]


def combined(runs):
    """Combine the curves of a row's runs, one per learning rate.

    The attributes are those of the last run, with the seconds of all runs; `trainings` lists what differs between them.
    """
    curves = xarray.concat([run.curves for run in runs], "learning_rate")
    trainings = [
        {name: run.curves.attrs[name] for name in ORIGIN if name in run.curves.attrs} | {"learning_rate": run.curves.learning_rate.item()}
        for run in runs
    ]
    curves.attrs = runs[-1].curves.attrs | {
        "protocol": "grid",
        "trainings": json.dumps(trainings),
        "wall_seconds": round(sum(training["wall_seconds"] for training in trainings), 3),
    }
    return curves


def with_policy(curves, runs):
    """Add `policy`, the final parameters of the best agent, (parameters,) float32 rounded to half precision.

    The best grid point is the one with the highest score averaged over training and seeds; its first seed is stored. The
    attribute `policy` says which agent this is.
    """
    best = scores.best_of_grid(scores.average_over_training(curves.score))
    (run,) = [run for run in runs if run.curves.learning_rate.item() == best["learning_rate"]]
    with np.errstate(over="ignore"):  # the parameters of a diverged agent may overflow half precision
        half = run.parameters.sel(best).isel(seed=0).values.astype(np.float16).astype(np.float32)
    return curves.assign(policy=("parameter", half)).assign_attrs(policy=json.dumps(best | {"seed": curves.seed[0].item()}))
