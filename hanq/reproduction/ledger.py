"""Every score printed in the paper beside ours, from the result files."""

import json
from os import PathLike

import numpy as np
import pandas

from hanq.algorithm import Algorithm
from hanq.data.foundations.files import as_path
from hanq.data.foundations.records import load
from hanq.reproduction import paper
from hanq.training import scores
from hanq.training.run import GRID

COLUMNS = [
    "table",
    "environment",
    "algorithm",
    "setting",
    "paper_mean",
    "paper_low",
    "paper_high",
    "ours_mean",
    "ours_low",
    "ours_high",
    "seeds",
    "protocol",
    "overlap",
    "file",
]


def compare(folder: str | PathLike = "results") -> pandas.DataFrame:
    """Return a pandas.DataFrame with one line for each of the paper's scores, in the paper's order.

    Its columns are `COLUMNS`, the name of the result for `paper.result`, the chosen value on each axis of the grid, whether
    normalisation comes before the ReLU (norm_first), and the core seconds that search and report took (core_seconds). If
    there is no result yet, our numbers are NaN and texts are empty. `protocol` says so if the search had a first round of fewer
    steps. A result that is smaller than the paper's says so there too and has no `overlap`; a result with a single seed has a
    mean but no interval.

    Raises FileNotFoundError if the folder does not exist, and ValueError if a file does not hold what its name says.
    """
    folder = as_path("folder", folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"folder={str(folder)!r} is not there: use the folder of the result files")
    found = []
    for score in paper.numbers().itertuples(index=False):
        line = dict(zip(COLUMNS, score, strict=False)) | {"protocol": "", "overlap": "", "file": "", "result": "", "seeds": 0}
        for stem, row in results_of(score):
            path = paper.path_of(stem, folder)
            line |= ours(path, row, score) | {"result": stem} if path.exists() else {}
        found.append(line)
    return pandas.DataFrame(found, columns=[*COLUMNS, "result", *GRID, "norm_first", "core_seconds"])


def results_of(score):
    """List the name and `paper.Row` of each result from which a line of `paper.numbers` can come."""
    key = score.algorithm, score.setting
    if score.environment == "Seaquest":
        return [(paper.file_name("seaquest", score.algorithm), paper.SEAQUEST[key])]
    tables = [name for name in paper.TABLES if paper.printed(name) == score.table]
    return [(paper.stem(table, score.environment, *key), paper.TABLES[table][key]) for table in tables]


def ours(path, row, score):
    """Read from a result file what it says about one score of the paper, as a dict of columns.

    Raises ValueError if the file holds another algorithm, environment or protocol.
    """
    curves = load(path)
    missing = [name for name in ("algorithm", "environment", "protocol", "wall_seconds", "threads") if name not in curves.attrs]
    if missing:
        raise ValueError(f"path={str(path)!r} does not say its {', '.join(missing)}: it is no result of `reproduce` or `table5`")
    seaquest = score.environment == "Seaquest"
    algorithm = Algorithm.stored(json.loads(curves.attrs["algorithm"]), path)
    about = curves.attrs["environment"], curves.attrs["protocol"]
    if algorithm not in row.algorithms or about != (score.environment, "grid" if seaquest else "tuned"):
        raise ValueError(f"path={str(path)!r} holds {algorithm} ({', '.join(about)}): not what the paper's score is about")
    averaged = scores.average_over_training(curves.score)
    best = scores.best_of_grid(averaged)
    seconds, short = curves.attrs["wall_seconds"] * curves.attrs["threads"], []
    if not seaquest:
        tuning = load(path.with_name(f"{path.stem}-tuning.nc"))
        seconds += tuning.attrs["wall_seconds"] * tuning.attrs["threads"]
        first, last = (steps for _, steps, _ in json.loads(tuning.attrs["rounds"]).values())
        short = [f"first round {first:,} steps"] if first < last else []
    mean, low, high = mean_and_interval(averaged.sel(best))
    smaller = smaller_than_the_paper(curves, row, seaquest)
    return {
        "ours_mean": mean,
        "ours_low": low,
        "ours_high": high,
        "seeds": curves.sizes["seed"],
        "protocol": ", ".join([curves.attrs["protocol"], *short, *smaller]),
        "file": f"{path.parent.name}/{path.name}",
        "overlap": "" if smaller else "yes" if low <= score.ci_high and high >= score.ci_low else "no",
        **best,
        "norm_first": algorithm.norm_first,
        "core_seconds": seconds,
    }


def mean_and_interval(values):
    """Return (mean, low, high) over seeds as floats. With a single seed the interval is NaN."""
    if values.sizes["seed"] == 1:
        return values.item(), np.nan, np.nan
    return tuple(scores.interval(values)[name].item() for name in ("mean", "low", "high"))


def smaller_than_the_paper(curves, row, seaquest):
    """List, as phrases, how the experiment behind these curves is smaller than the paper's."""
    sizes = [
        (curves.sizes["seed"], len(paper.SEEDS), "seeds"),
        (curves.gradient_step.values[-1], paper.SEAQUEST_STEPS if seaquest else paper.STEPS, "steps"),
    ]
    if seaquest:
        settings = [np.size(row.settings.get(name, 0.0)) for name in GRID]
        sizes += [
            (curves.attrs["transitions"], paper.SEAQUEST_TRANSITIONS, "transitions"),
            (np.prod([curves.sizes[name] for name in GRID]), np.prod(settings), "grid points"),
        ]
    return [f"{ours:,} of {theirs:,} {what}" for ours, theirs, what in sizes if ours < theirs]


def summary(found):
    """Summarise how many scores there are and how many of their intervals overlap the paper's."""
    done = found[found.seeds > 0]
    lines = [f"{len(done)} of {len(found)} scores have a result; {np.sum(done.overlap == 'yes')} overlap the paper's interval"]
    for table, rows in done.groupby("table", sort=False):
        line = f"  {table}: {len(rows)} of {np.sum(found.table == table)}, {np.sum(rows.overlap == 'yes')} overlap"
        apart = np.sum(rows.overlap == "")
        lines.append(line + f", {apart} not of the paper's size" * bool(apart))
    return "\n".join(lines)
