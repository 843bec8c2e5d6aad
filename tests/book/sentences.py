"""What tests of chapters share: a chapter's text, and the results that its sentences are about.

A chapter's test file lists sentences with what makes them true. A sentence that has left the chapter fails, so that the list cannot
outlive the text; one whose results have changed fails with the words that must be written anew.
"""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np

from hanq.reproduction import claimed, ledger, overview, paper
from hanq.training import scores

BOOK = Path(__file__).parents[2] / "book"
FOLDER = BOOK / "results"


@cache
def text(chapter):
    """All of a chapter's prose on one line."""
    found = json.loads((BOOK / f"{chapter}.ipynb").read_text())["cells"]
    return re.sub(r"\s+", " ", " ".join("".join(cell["source"]) for cell in found if cell["cell_type"] == "markdown"))


def check(chapter, sentence, is_true):
    assert sentence in text(chapter), "the chapter no longer says this: take it off the list, or write it as the chapter does"
    assert is_true(), f"the results no longer say this: rewrite it in book/{chapter}.ipynb"


@cache
def found():
    lines = ledger.compare(FOLDER)
    return lines.assign(label=[overview.label(line) for line in lines.itertuples()])


def rows(*tables, environment="Pendulum"):
    """The ledger's lines of some tables, without HANQ's own and each result once, by algorithm's name."""
    lines = found()
    lines = lines[lines.table.isin(tables) & (lines.environment == environment) & (lines.algorithm != "HANQ")]
    return lines.drop_duplicates("file")


def row(table, algorithm, setting="", environment="Pendulum"):
    lines = found()
    wanted = [table, environment, algorithm, setting]
    return lines[(lines[["table", "environment", "algorithm", "setting"]] == wanted).all(axis=1)].iloc[0]


def hanq(environment="Pendulum"):
    return row("1", "HANQ", "hyper_lr=0.1", environment)


def finding(text):
    """What the results say about one of the paper's claims."""
    return next(one for one in claimed.findings(FOLDER) if one.claim.text == text)


def result(name):
    return paper.result(name, FOLDER)


def seeds(name):
    """Scores of one result averaged over training, one a seed."""
    return paper.seed_scores(name, FOLDER)


def gain(one, other):
    """(mean, low, high) of one result's scores minus another's, seed by seed."""
    found = scores.interval(seeds(one) - seeds(other))
    return found["mean"].item(), found.low.item(), found.high.item()


def meets(line, values):
    """Whether the interval of these scores, one a seed, overlaps the paper's interval for a line of the ledger."""
    ours = scores.interval(values)
    return bool(ours.low <= line.paper_high and ours.high >= line.paper_low)


def mean(name):
    return seeds(name).mean().item()


def dataset_share(name):
    """Share of the variance that datasets carry where ten of them meet ten training seeds, from the two-way table of random effects."""
    y = np.array([seeds(f"datasets-{name}-{seed}").values for seed in range(10)])
    rest = y - y.mean(1, keepdims=True) - y.mean(0) + y.mean()
    noise = (rest**2).sum() / 81
    parts = [max(0.0, y.mean(axis).var(ddof=1) - noise / 10) for axis in (1, 0)]
    return parts[0] / (sum(parts) + noise)


def at_chance(line):
    return "at chance" in overview.mark(line) or overview.is_at_chance(line.environment, line.ours_low)
