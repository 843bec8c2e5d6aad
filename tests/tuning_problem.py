"""A stand-in for training, for tests of the search."""

import itertools

import numpy as np
import xarray

from hanq.reproduction.tuning import Round
from hanq.training.run import GRID

FIRST, SECOND = Round(range(100, 103), 50, 10), Round(range(100, 105), 200, 50)
NUMBERS = dict(hyper_lr=0.0, target_rate=1.0, discount=0.99, weight_decay=0.0)


class Trainer:
    """A stand-in for training whose score is a function of the point and of the length."""

    def __init__(self, score):
        self.score, self.calls = score, []

    def __call__(self, algorithm, settings, round):
        self.calls.append((algorithm, settings, round))
        axes = {axis: np.atleast_1d((NUMBERS | settings)[axis]).astype(float) for axis in GRID}
        coords = axes | {"seed": list(round.seeds), "gradient_step": [round.gradient_steps]}
        values = np.empty([len(values) for values in coords.values()], np.float32)
        for index, point in zip(np.ndindex(values.shape), itertools.product(*coords.values()), strict=True):
            values[index] = self.score(algorithm, round, **dict(zip(coords, point, strict=True)))
        attrs = dict(environment="Pendulum", engine="fused", threads=2, batch_size=8, eval_episodes=1, eval_velocity=1.0, wall_seconds=1.5)
        return xarray.Dataset({"score": (tuple(coords), values)}, coords, attrs)
