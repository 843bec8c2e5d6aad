"""HANQ: deep Q-learning without a target network (Snyder and Wei), reproduced.

data = hanq.collect("Pendulum", seeds=range(30))
run = hanq.train(hanq.HANQ, data, learning_rate=10**-1.5, hyper_lr=0.1)
run.curves.score.mean("seed")
"""

from hanq.data.foundations import requirements as _requirements

_requirements.check()

from hanq.algorithm import DQN, DQN_L2N, DQN_LN, HANQ, PQN, SSANQ, SSAQ, Algorithm, Network
from hanq.data.collection import collect
from hanq.data.dataset import Dataset, load_dataset
from hanq.data.screens import ScreenDataset
from hanq.training.evaluating import evaluate
from hanq.training.run import Run, load_run
from hanq.training.train import train

__all__ = [
    "DQN",
    "DQN_L2N",
    "DQN_LN",
    "HANQ",
    "PQN",
    "SSANQ",
    "SSAQ",
    "Algorithm",
    "Network",
    "Dataset",
    "ScreenDataset",
    "collect",
    "evaluate",
    "load_dataset",
    "Run",
    "load_run",
    "train",
]
