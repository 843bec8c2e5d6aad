"""What the tests of chapters read: the curves of result files, as the chapters' prose speaks of them."""

from pathlib import Path

from hanq.reproduction import paper

RESULTS = Path(__file__).parents[1] / "book" / "results"


def mean_score(name):
    """Mean score over seeds: (learning_rate, gradient_step), or without the first where the result has one learning rate."""
    return paper.result(name, RESULTS).score.mean("seed").squeeze()


def kept(curve):
    """The mean of the last 20,000 gradient steps as a share of the highest."""
    return float(curve[-10:].mean() / curve.max())
