"""`python -m hanq seaquest`: collect data, train and evaluate. It can be stopped at any time and started again."""

from dataclasses import replace
from functools import lru_cache

from hanq.algorithm import DQN, DQN_LN, HANQ, PQN
from hanq.atari import frames, training
from hanq.atari.game import SEAQUEST
from hanq.data.foundations.files import as_path, locked
from hanq.reproduction.finished import check_same, held
from hanq.training.run import load_run
from hanq.training.segments import Usual, checked_counts
from hanq.training.train import axis

ALGORITHMS = {  # the rows of Table 5, and PQN: DQN-LN with its LayerNorm before the ReLU
    "DQN": DQN,
    "DQN-LN": DQN_LN,
    "PQN": PQN,
    "HANQ": HANQ,
    "HANQ-without-metapredictor": replace(HANQ, predictor="direct"),
}
AXES = {"learning_rate": None, "hyper_lr": 0.0, "target_rate": 1.0, "discount": 0.99}  # {axis of the grid: default}
COUNTS = {"gradient_steps": 1_000_000, "batch_size": 128, "eval_every": Usual(10_000), "eval_episodes": 10, "eval_steps": SEAQUEST.horizon}


def add_arguments(parser):
    """Add the command's arguments to an argparse parser."""
    parser.add_argument("--algorithm", choices=ALGORITHMS, required=True)
    for name, default in AXES.items():
        parser.add_argument(option(name), type=float, nargs="+", required=default is None, default=[default], help="one or several")
    add_training_arguments(parser, seeds=[0])
    parser.add_argument("--out", default="seaquest", help="folder of the frames, checkpoints, logs and results")


def add_training_arguments(parser, seeds):
    """Add the arguments that say how long and on which data to train; `trained` reads them."""
    parser.add_argument("--seed", type=int, nargs="+", default=seeds, help="one or several, each with data of its own")
    parser.add_argument("--steps", dest="gradient_steps", type=int, default=COUNTS["gradient_steps"], help="gradient steps")
    extra = {"eval_every": ", or the steps where they are fewer"}
    for name in ("batch_size", "eval_every", "eval_episodes", "eval_steps"):
        parser.add_argument(option(name), type=int, default=COUNTS[name], help=f"default: {COUNTS[name]:,}" + extra.get(name, ""))
    parser.add_argument("--transitions", type=int, default=SEAQUEST.dataset_size, help="agent steps of random play a seed")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--precision", default="float32", help=", ".join(training.PRECISIONS))
    parser.add_argument("--compile", action="store_true", help="through torch.compile: a minute before the first step")


def option(name):
    """Return the command-line form of an argument's name."""
    return "--" + name.replace("_", "-")


def run(options):
    """Collect missing data, train, and write `NAME.nc`. During training, `NAME.csv` shows the curves so far."""
    rates = {name: getattr(options, name) for name in AXES}
    path = as_path("out", options.out) / f"{file_name(options.algorithm, rates, options)}.nc"
    found = trained(path, ALGORITHMS[options.algorithm], rates, options)
    best = found.curves.score.isel(gradient_step=-1).mean("seed").max().item()
    print(
        f"{path}: a score of {best:.1f} after {found.curves.gradient_step[-1]:.0f} gradient steps, "
        f"mean of {len(options.seed)} seeds and {options.eval_episodes} games, best of the grid"
    )


def trained(path, algorithm, rates, options):
    """Return the `Run` in the file `path`, after training it, or continuing from its checkpoint, if it is not finished.

    rates: values for each of `AXES`. The checkpoint and the log are written next to the file, frames to a folder `frames`
    there. Raises ValueError, before anything is collected, naming a bad argument, or the points in which a finished file
    differs from what is asked for. Only a longer training may replace a finished file.
    """
    asked = asked_for(algorithm, rates, options)
    with locked("path", path):
        found = finished(path, asked)
        if found is not None:
            return found
        data = collected(path.parent / "frames", tuple(options.seed), options.transitions)
        found = training.train_on_frames(
            algorithm,
            data,
            **rates,
            **{name: asked[name] for name in COUNTS},
            device=options.device,
            precision=options.precision,
            compiled=options.compile,
            checkpoint=path.with_name(f"{path.stem}.checkpoint"),
            log=path.with_name(f"{path.stem}.csv"),
        )
        found.save(path)
        return found


def asked_for(algorithm, rates, options):
    """Describe the training asked for, in the form of `finished.held`. Raises ValueError naming a bad argument."""
    training.checked_device(options.device, options.precision)
    counts = checked_counts(**{name: getattr(options, name) for name in COUNTS})
    for name, values in rates.items():
        axis(name, values)
    return counts | {
        "algorithm": algorithm.canonical(),
        "settings": rates,
        "seeds": options.seed,
        "environment": SEAQUEST.name,
        "transitions": options.transitions,
        "precision": options.precision,
    }


def finished(path, asked):
    """Load the finished `Run` in the file `path`, or None if there is none or only a shorter one of the same training.

    Raises ValueError if the file holds a different training.
    """
    if not path.exists():
        return None
    found = load_run(path)
    there = held(found.curves, path)
    steps = there.get("gradient_steps", 0)
    shorter = steps < asked["gradient_steps"]
    least = asked | {"gradient_steps": steps} if shorter else asked
    check_same(path, there, least, "use another folder, or move the file away")
    return None if shorter else found


@lru_cache(maxsize=1)
def collected(folder, seeds, transitions):
    """Cache `frames.collect`, whose checksums take a while, for several trainings on the same data."""
    return frames.collect(folder, seeds, transitions)


def file_name(label, rates, options):
    """Name a run by its label and by each setting that differs from the default."""
    numbers = rates | {"seed": options.seed}
    parts = [label]
    for name, usual in (AXES | {"seed": None}).items():
        if numbers[name] != [usual]:
            parts.append(name + "=" + ",".join(f"{value:g}" for value in numbers[name]))
    parts += [
        f"{name}={getattr(options, name)}"
        for name, usual in {"transitions": 100_000, "precision": "float32"}.items()
        if getattr(options, name) != usual
    ]
    return "-".join(parts)
