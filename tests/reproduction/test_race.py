"""Promise: a search that gives points up early chooses what a search that trains everything to the end would choose."""

import itertools

import numpy as np
import pytest
import xarray
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanq.algorithm import DQN
from hanq.data import environments
from hanq.data.foundations.records import load
from hanq.reproduction import pipeline, protocol, tuning
from hanq.reproduction.tuning import Round, Tuning
from hanq.training.run import GRID

RATES, KAPPAS, HIGHEST = [1e-1, 1e-2, 1e-3], [1.0, 0.1], 115.0
WHOLE = Round(range(100, 102), 80_000, 20_000)  # four pieces of one evaluation each
ATTRS = dict(environment="Pendulum", engine="fused", threads=2, batch_size=8, eval_episodes=1, eval_velocity=1.0)


class Replay:
    """A stand-in for training: the evaluations of each learning rate and kappa are known beforehand, (4,) for both seeds."""

    def __init__(self, curves):
        self.curves, self.trained = curves, {}

    def __call__(self, algorithm, point, round):
        key, evaluations = (point["learning_rate"], point["hyper_lr"]), round.gradient_steps // round.eval_every
        assert self.trained.get(key, 0) < evaluations, "it goes on, and trains nothing twice"
        self.trained[key] = evaluations
        coords = dict(learning_rate=[key[0]], hyper_lr=[key[1]], target_rate=[1.0], discount=[0.99], weight_decay=[0.0])
        assert list(coords) == list(GRID)
        coords |= dict(seed=list(round.seeds), gradient_step=round.eval_every * np.arange(1, evaluations + 1))
        scores = np.broadcast_to(np.float32(self.curves[key][:evaluations]), [len(values) for values in coords.values()])
        return xarray.Dataset({"score": (tuple(coords), scores)}, coords, ATTRS)


class InMemory(Tuning):
    """A search without its file, so that many can be tried."""

    def _read(self):
        pass

    def _save(self, attrs):
        pass


def searched(path, curves, highest=HIGHEST, growing=2, kind=Tuning):
    """Search among curves, of which there are more learning rates than in the grid, as far as it may grow."""
    train = Replay(curves)
    grid = dict(learning_rate=RATES, hyper_lr=KAPPAS)
    search = kind(path, (DQN,), grid, WHOLE, WHOLE, 2, train, growing=growing, highest=highest)
    return search.best()[1], train.trained


def everywhere(values):
    """Curves for every point that a grid may grow to: those beyond the grid score 0, apart from the first on either side."""
    rates = [float(10 ** (np.log10(1e-1) + 0.5)), *RATES, float(10 ** (np.log10(1e-3) - 0.5))]
    known = dict(zip(itertools.product(rates, KAPPAS), values, strict=True))

    class Curves(dict):
        def __missing__(self, key):
            return next((known[one] for one in known if np.allclose(one, key)), [0.0] * 4)

    return Curves()


@given(st.lists(st.lists(st.floats(0, HIGHEST, width=32), min_size=4, max_size=4), min_size=10, max_size=10))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_choice_is_that_of_training_everything_to_the_end(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("race")
    raced, some = searched(folder / "raced.nc", everywhere(values), kind=InMemory)
    exhaustive, everything = searched(folder / "exhaustive.nc", everywhere(values), highest=1e9, kind=InMemory)
    assert raced == exhaustive
    assert set(some) == set(everything) and set(everything.values()) == {4}


def test_a_point_is_given_up_when_not_even_the_highest_score_would_bring_it_among_the_best(tmp_path):
    """Two points score 100. After one piece of four at 50, the highest mean still possible is (50 + 3 * 115) / 4 = 98.75; at 55, 100."""
    flat = dict(zip(itertools.product(RATES, KAPPAS), [0.0, 50.0, 100.0, 100.0, 55.1, 0.0], strict=True))
    _, trained = searched(tmp_path / "tuning.nc", {key: [score] * 4 for key, score in flat.items()}, growing=1)
    assert trained == {key: {0.0: 1, 50.0: 1, 55.1: 2, 100.0: 4}[score] for key, score in flat.items()}
    trials = load(tmp_path / "tuning.nc").to_dataframe()
    steps = trials.groupby(["learning_rate", "hyper_lr"]).gradient_steps.unique()
    assert {key: list(found) for key, found in steps.items()} == {key: [20_000 * pieces] for key, pieces in trained.items()}


def test_a_late_bloomer_is_not_given_up(tmp_path):
    curves = {key: [60.0] * 4 for key in itertools.product(RATES, KAPPAS)} | {(1e-2, 0.1): [0.0, 90.0, 110.0, 110.0]}
    chosen, _ = searched(tmp_path / "tuning.nc", curves, growing=1)
    assert (chosen["learning_rate"], chosen["hyper_lr"]) == (1e-2, 0.1)


def test_without_a_limit_the_whole_grid_is_trained_at_once(tmp_path):
    calls = []

    def train(algorithm, point, round):
        calls.append((point, round))
        raise KeyboardInterrupt

    grid = dict(learning_rate=RATES)
    with pytest.raises(KeyboardInterrupt):
        Tuning(tmp_path / "tuning.nc", (DQN,), grid, WHOLE, WHOLE, 1, train).best()
    assert calls == [(grid, WHOLE)]


def test_no_return_exceeds_the_limit_of_its_environment():
    """Rewards are never positive on Pendulum and Acrobot, and 1 in each of CartPole's 500 steps."""
    highest = {name: one.score(one.best_return) for name, one in environments.ENVIRONMENTS.items()}
    assert highest == {"Pendulum": pytest.approx(115.38, abs=0.01), "Acrobot": 125.0, "CartPole": 100.0}


def test_a_race_in_earnest_chooses_as_a_search_without_pieces(tmp_path, monkeypatch):
    """Real training, continued from its checkpoints piece by piece."""
    round = Round(range(100, 102), 300, 50)
    monkeypatch.setattr(protocol, "LONG", protocol.Protocol(round, round, round, finalists=1))
    (job,) = protocol.jobs("table3", "Pendulum")[:1]
    assert job.protocol == protocol.LONG
    found = {}
    for name, pieces in (("raced", 100), ("whole", 300)):
        monkeypatch.setattr(tuning, "PIECE", pieces)
        (tmp_path / name).mkdir()
        pipeline._run(job._replace(path=tmp_path / name / "row.nc"), "auto")
        found[name] = load(tmp_path / name / "row.nc")
    assert found["raced"].drop_attrs().identical(found["whole"].drop_attrs())
    ended = [load(tmp_path / name / "row-tuning.nc").to_dataframe() for name in found]
    whole, raced = (frame.set_index(["learning_rate", "seed"]).score for frame in reversed(ended))
    finished = ended[0].set_index(["learning_rate", "seed"]).gradient_steps == 300
    np.testing.assert_array_equal(raced[finished], whole.loc[raced[finished].index])
