"""`python -m hanq seaquest`: collect, train, evaluate; stop it at any time, start it again."""

from dataclasses import replace
from pathlib import Path

from hanq import records
from hanq.algorithm import DQN, DQN_LN, HANQ, PQN
from hanq.atari import frames, training
from hanq.atari.game import SEAQUEST
from hanq.training import axis, checked_counts

ALGORITHMS = {  # the rows of Table 5, and PQN: DQN-LN with its LayerNorm before the ReLU
    "DQN": DQN,
    "DQN-LN": DQN_LN,
    "PQN": PQN,
    "HANQ": HANQ,
    "HANQ-without-metapredictor": replace(HANQ, predictor="direct"),
}
AXES = {"learning_rate": None, "hyper_lr": 0.0, "target_rate": 1.0, "discount": 0.99}  # and what need not be said
COUNTS = {"gradient_steps": 1_000_000, "batch_size": 128, "eval_every": 10_000, "eval_episodes": 10,
          "eval_steps": SEAQUEST.horizon}  # fmt: skip


def add_arguments(parser):
    """The command's own arguments, on an argparse parser."""
    parser.add_argument("--algorithm", choices=ALGORITHMS, required=True)
    for name, default in AXES.items():
        parser.add_argument(
            option(name), type=float, nargs="+", required=default is None, default=[default], help="one or several"
        )
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="one or several, each with data of its own")
    parser.add_argument("--steps", dest="gradient_steps", type=int, default=COUNTS["gradient_steps"], help="gradient steps")
    for name in ("batch_size", "eval_every", "eval_episodes", "eval_steps"):
        parser.add_argument(option(name), type=int, default=COUNTS[name])
    parser.add_argument("--transitions", type=int, default=SEAQUEST.dataset_size, help="agent steps of random play a seed")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--precision", default="float32", help=", ".join(training.PRECISIONS))
    parser.add_argument("--compile", action="store_true", help="through torch.compile: a minute before the first step")
    parser.add_argument("--out", default="seaquest", help="folder of the frames, checkpoints, logs and results")


def option(name):
    """An argument's name on the command line."""
    return "--" + name.replace("_", "-")


def run(options):
    """Collect what is missing, train, and write `NAME.nc`; `NAME.csv` shows the curves on the way."""
    rates, counts = ({name: getattr(options, name) for name in names} for names in (AXES, COUNTS))
    training.find_device(options.device, options.precision)
    checked_counts(**counts)
    for name, values in rates.items():
        axis(name, values)  # all is checked before minutes of collecting
    out, name = Path(options.out), file_name(options)
    data = frames.collect(out / "frames", options.seed, options.transitions)
    curves, _ = training.train(
        ALGORITHMS[options.algorithm], data, **rates, **counts, device=options.device, precision=options.precision,
        compiled=options.compile, checkpoint=out / f"{name}.checkpoint", log=out / f"{name}.csv",
    )  # fmt: skip
    records.save(curves.assign_attrs(kind="seaquest"), out / f"{name}.nc")
    best = curves.score.isel(gradient_step=-1).mean("seed").max().item()
    print(f"{out / name}.nc: a score of {best:.1f} after {curves.gradient_step[-1]:.0f} gradient steps, "
          f"mean of {len(options.seed)} seeds and {options.eval_episodes} games, best of the grid")  # fmt: skip


def file_name(options):
    """A name of the run: the algorithm, and each number that differs from the usual."""
    parts = [options.algorithm]
    for name, usual in (AXES | {"seed": None}).items():
        values = getattr(options, name)
        if values != [usual]:
            parts.append(name + "=" + ",".join(f"{value:g}" for value in values))
    parts += [f"{name}={getattr(options, name)}" for name, usual in {"transitions": 100_000, "precision": "float32"}.items()
              if getattr(options, name) != usual]  # fmt: skip
    return "-".join(parts)
