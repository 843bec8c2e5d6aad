"""The rows of Table 5 in small, on MinAtar's games: not the paper's experiment, which is Seaquest's pixels at 84x84.

Data are as in the paper, 100,000 transitions of random play for each seed, and so is the batch. Training has 50,000 gradient steps
instead of a million: the network is about a hundredth of Atari's, and two cores do one game in little more than an hour. Target rates
are DQN's, 1e-2 to 1e-4, and none, and the hypergradient has a row of its own. Learning rates and DQN's target rate are searched at
that same length, on three seeds that the report, of ten seeds, does not use. On Seaquest, DQN and HANQ are trained for 200,000 steps as
well, with what that search chose.

Scores run from 0, the mean return of random play, to 100, the best return of a preliminary run (`scale`), on other seeds again.

Predictions, written before any of these agents was trained: `book/minatar-predictions.md`.
"""

import json
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import xarray

from hanq.algorithm import DQN, DQN_LN, HANQ
from hanq.data.collection import collect
from hanq.data.foundations.files import as_path, locked
from hanq.data.foundations.records import load, provenance, save
from hanq.data.minatar import DATASET_SIZE, GAMES, RAMPING, STICKY, find
from hanq.data.returns import ends
from hanq.reproduction.finished import check_same
from hanq.reproduction.paper import Row
from hanq.reproduction.tuning import Round
from hanq.training.train import train

NAME, SCALE = "minatar", "minatar-scale"
LEARNING_RATES = [10**-2.5, 10**-3, 10**-3.5]  # the search goes beyond them where the best one is at an end
TARGET_RATES = [1e-2, 1e-3, 1e-4]
ROWS = {
    "DQN": Row((DQN,), dict(learning_rate=LEARNING_RATES, target_rate=TARGET_RATES)),
    "DQN-LN": Row((DQN_LN,), dict(learning_rate=LEARNING_RATES)),
    "HANQ": Row((HANQ,), dict(learning_rate=LEARNING_RATES)),
    "HANQ-without-metapredictor": Row((replace(HANQ, predictor="direct"),), dict(learning_rate=LEARNING_RATES)),
    "DQN-no-target-network": Row((DQN,), dict(learning_rate=LEARNING_RATES)),
    "HANQ-hypergradient": Row((HANQ,), dict(learning_rate=LEARNING_RATES, hyper_lr=0.1)),
}
SEARCH, REPORT = Round(range(100, 103), 50_000, 5_000), Round(range(10), 50_000, 5_000)
LONGER = Round(range(10), 200_000, 5_000)
CHOSEN = {  # on Seaquest, over 50,000 steps
    "DQN": dict(learning_rate=10**-3.5, target_rate=1e-3),
    "HANQ": dict(learning_rate=10**-4.5),
}
PRELIMINARY = Round(range(200, 202), 20_000, 2_000)
QUICK = Round(range(200, 202), 200, 100)
QUICK_SIZE = 2_000  # transitions
EPISODES = 10
FIRST = {"DQN": (DQN, dict(target_rate=1e-3)), "DQN-LN": (DQN_LN, {}), "HANQ": (HANQ, {})}  # of the preliminary run, at the rates
FIRST_RATES = [10**-3, 10**-4]


def jobs():
    """Yield (label, game, row, rounds) for each result; rounds are of the report and, where settings are searched, of the search."""
    for game in GAMES:
        for label, row in ROWS.items():
            yield f"{short(game)}-{label}", game, row, (REPORT, SEARCH, SEARCH)
    for label, settings in CHOSEN.items():
        yield f"Seaquest-{label}-longer", find("MinAtar/Seaquest").name, replace(ROWS[label], settings=settings), (LONGER,)


def short(game):
    """Return a game's name for files: "MinAtar/Seaquest-v1" -> "Seaquest"."""
    return game.partition("/")[2].partition("-")[0]


def in_small(job):
    """Return a job of `protocol` with little data, if it is on one of these games."""
    return job._replace(row=replace(job.row, data={"size": QUICK_SIZE})) if job.environment in GAMES else job


def conditions(environment):
    """Return what the provenance of a game's data must say; nothing of another environment's."""
    return dict(sticky_actions=STICKY, difficulty_ramping=RAMPING, size=DATASET_SIZE) if environment in GAMES else {}


def scale(out: str | PathLike, *, environment: str | None = None, quick: bool = False, engine: str = "auto") -> list[Path]:
    """Measure the scale of scores of each game, and return the paths of the files: mean returns by chance and of a preliminary run.

    out, environment, quick, engine: as in `pipeline.reproduce`. Finished files are kept, and unfinished training continues.
    Raises ValueError for an unknown game, or a file that holds something else.
    """
    wanted = tuple(GAMES) if environment is None else (find(environment).name,)
    folder, round = as_path("out", out) / NAME, QUICK if quick else PRELIMINARY
    paths = []
    for game in wanted:
        path = folder / f"scale-{short(game)}{'-quick' * quick}.nc"
        with locked("path", path, wait=True):
            if not _is_measured(path, game, round):
                _measure(path, game, round, QUICK_SIZE if quick else None, engine)
            found = load(path).attrs
        print(f"{path}: chance {found['chance']:.4g}, the best mean return of the preliminary run {found['best']:.4g}", flush=True)
        paths.append(path)
    return paths


def _asked(game, round):
    rounds = {"seeds": json.dumps(list(round.seeds)), "gradient_steps": round.gradient_steps, "eval_every": round.eval_every}
    return rounds | {"environment": game, "learning_rates": json.dumps(FIRST_RATES), "algorithms": json.dumps(list(FIRST))}


def _is_measured(path, game, round):
    """Check whether the file is there. Raises ValueError if it holds something else."""
    if not path.exists():
        return False
    check_same(path, load(path).attrs, _asked(game, round), "use another folder, or move the file away")
    return True


def _measure(path, game, round, size, engine):
    """Train the preliminary run of one game and write its file."""
    data, curves, seconds = collect(game, round.seeds, size=size), [], 0.0
    for label, (algorithm, settings) in FIRST.items():
        run = train(
            algorithm,
            data,
            learning_rate=FIRST_RATES,
            **settings,
            gradient_steps=round.gradient_steps,
            eval_every=round.eval_every,
            eval_episodes=EPISODES,
            engine=engine,
            checkpoint=path.with_name(f"{path.stem}.{label}.checkpoint"),
        )
        axes = ("hyper_lr", "target_rate", "discount", "weight_decay")
        curves.append(run.curves.return_.squeeze(axes, drop=True))
        seconds += run.curves.attrs["wall_seconds"]
    returns = xarray.concat(curves, xarray.Variable("algorithm", list(FIRST))).drop_attrs()
    by_chance = chance(data)
    attrs = provenance() | _asked(game, round) | {"protocol": "grid", "dataset": json.dumps(data.provenance)}
    attrs |= {name: run.curves.attrs[name] for name in ("dataset_digest", "engine", "threads")}
    attrs |= {"chance": by_chance.mean().item(), "best": returns.mean("seed").max().item(), "wall_seconds": float(np.round(seconds, 3))}
    save(xarray.Dataset({"return_": returns, "chance": by_chance}, attrs=attrs), path)
    for label in FIRST:
        path.with_name(f"{path.stem}.{label}.checkpoint").unlink(missing_ok=True)


def chance(data) -> xarray.DataArray:
    """Return the mean return of the complete games in each seed's dataset of random play, (seed,).

    The last game counts only if it ended with the data; games that were cut off count at their length.
    """
    last, found = ends(data), []
    for over, rewards, terminated in zip(last, data.rewards, data.terminated, strict=True):
        stops = np.flatnonzero(over)
        returns = np.add.reduceat(rewards, np.append(0, stops[:-1] + 1), dtype=np.float64)
        whole = returns if terminated[-1] else returns[:-1]
        found.append(whole.mean() if len(whole) else np.nan)
    return xarray.DataArray(found, {"seed": data.seeds}, "seed")
