"""Every score that the paper prints beside ours, from the result files."""

import json
from pathlib import Path

import numpy as np
import pandas

from hanq import paper, scores
from hanq.algorithm import Algorithm
from hanq.records import load
from hanq.run import GRID

COLUMNS = ["table", "environment", "algorithm", "setting", "paper_mean", "paper_low", "paper_high",
           "ours_mean", "ours_low", "ours_high", "seeds", "protocol", "overlap", "file"]  # fmt: skip


def compare(folder="results"):
    """A pandas.DataFrame with a line for each of the paper's scores, in the paper's order.

    Its columns are `COLUMNS` and then: the chosen values on each axis of the grid, whether a
    normalisation stands before the ReLU (norm_first), and core_seconds, what tuning and report took. Where there is
    no result yet, ours is NaN and the texts are empty.
    """
    found = []
    for score in paper.numbers().itertuples(index=False):
        line = dict(zip(COLUMNS, score, strict=False))
        for table in (name for name in paper.TABLES if paper.printed(name) == score.table):
            path = Path(folder) / f"{paper.stem(table, *score[1:4])}.nc"
            line |= ours(path, paper.TABLES[table][score.algorithm, score.setting], score) if path.exists() else {}
        found.append(line)
    table = pandas.DataFrame(found, columns=[*COLUMNS, *GRID, "norm_first", "core_seconds"])
    return table.fillna({"protocol": "", "overlap": "", "file": "", "seeds": 0}).astype({"seeds": int})


def ours(path, row, score):
    """What a result file says about one score of the paper, as a dict of columns.

    Raises ValueError where the file holds another algorithm, environment or protocol.
    """
    curves = load(path)
    algorithm, about = Algorithm(**json.loads(curves.attrs["algorithm"])), (curves.attrs["environment"], curves.attrs["protocol"])
    if algorithm not in row.algorithms or about != (score.environment, "tuned"):
        raise ValueError(f"path={str(path)!r} holds {algorithm} ({', '.join(about)}): not what the paper's score is about")
    found = scores.interval(scores.average_over_training(curves.score).squeeze([axis for axis in GRID]))
    tuning = load(path.with_name(f"{path.stem}-tuning.nc"))
    seconds = curves.attrs["wall_seconds"] * curves.attrs["threads"] + tuning.attrs["wall_seconds"] * tuning.attrs["threads"]
    mean, low, high = (found[name].item() for name in ("mean", "low", "high"))
    return {
        "ours_mean": mean, "ours_low": low, "ours_high": high, "seeds": curves.sizes["seed"],
        "protocol": curves.attrs["protocol"], "file": path.name,
        "overlap": "yes" if low <= score.ci_high and high >= score.ci_low else "no",
        **{axis: curves[axis].item() for axis in GRID},
        "norm_first": algorithm.norm_first, "core_seconds": seconds,
    }  # fmt: skip


def summary(found):
    """How many scores are there, and how many of their intervals overlap the paper's."""
    done = found[found.seeds > 0]
    lines = [f"{len(done)} of {len(found)} scores have a result; {np.sum(done.overlap == 'yes')} overlap the paper's interval"]
    for table, rows in done.groupby("table", sort=False):
        lines.append(f"  {table}: {len(rows)} of {np.sum(found.table == table)}, {np.sum(rows.overlap == 'yes')} overlap")
    return "\n".join(lines)
