"""Promise: whatever `run.estimate` and `reward_scale` are given, they take it for what it is or name it in one line."""

from dataclasses import replace

import numpy as np
import pandas
import pytest
import torch
import xarray
from helpers import HANQ, TORCH
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from odd_values import ODD, ONE, nan

import hanq
from hanq.data.returns import discounted_returns
from hanq.training import rewards

pytestmark = pytest.mark.filterwarnings("ignore")
QUICK = dict(gradient_steps=1, progress=False)
COLUMNS = ("observations", "actions", "rewards", "next_observations", "terminated")
usual = settings(deadline=None, derandomize=True, max_examples=25)


def log(size=12, obs_dim=2, seed=0, ends=()):
    """The arguments of `from_arrays`: small numbers that every type can hold."""
    rng = np.random.default_rng(seed)
    seen, following = rng.integers(-8, 9, size=(2, size, obs_dim)) / 4
    flags = np.isin(np.arange(size), list(ends))
    return dict(zip(COLUMNS, (seen, rng.integers(2, size=size), rng.integers(-8, 9, size=size) / 4, following, flags), strict=True))


def dataset(**arrays):
    return hanq.Dataset.from_arrays(**arrays, action_count=2)


@pytest.fixture(scope="module")
def run():
    return hanq.train(HANQ, dataset(**log()), learning_rate=1e-2, seeds=[3, 1], gradient_steps=2, eval_every=2, batch_size=4, **TORCH)


CONTAINERS = {
    "list": lambda a: a.tolist(),
    "tuple of arrays": tuple,
    "pandas": lambda a: pandas.DataFrame(a) if a.ndim == 2 else pandas.Series(a),
    "torch": torch.as_tensor,
    "xarray": xarray.DataArray,
    "not contiguous": lambda a: np.repeat(a, 2, axis=0)[::2],
    "Fortran": np.asfortranarray,
    "column": lambda a: a.reshape(len(a), -1),
    "float64": lambda a: a.astype("f8"),
    "float16": lambda a: a.astype("f2"),
    "other byte order": lambda a: a.astype(">f4"),
    "objects": lambda a: a.astype(object),
    "one seed": lambda a: a[None],
}


@usual
@given(st.lists(st.sampled_from(sorted(CONTAINERS)), min_size=5, max_size=5), st.sets(st.integers(0, 11)))
def test_estimates_do_not_depend_on_what_holds_the_data(run, kinds, ends):
    kinds = kinds if "one seed" not in kinds else ["one seed"] * 5  # which is an axis of all
    arrays = log(ends=ends)
    own = dataset(**{name: CONTAINERS[kind](array) for kind, (name, array) in zip(kinds, arrays.items(), strict=True)})
    xarray.testing.assert_equal(run.estimate(own, **QUICK), run.estimate(dataset(**arrays), **QUICK))


def test_a_log_may_stay_on_the_disk(run, tmp_path):
    arrays = log(ends=[5])
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = dataset(**{name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in COLUMNS})
    xarray.testing.assert_equal(run.estimate(mapped, **QUICK), run.estimate(dataset(**arrays), **QUICK))


@usual
@given(st.integers(1, 9), st.integers(1, 4), st.sets(st.integers(0, 8)), st.booleans(), st.integers(0, 99))
def test_data_of_any_size_and_flags_are_estimated_or_refused_by_their_width(run, size, obs_dim, ends, uniform, seed):
    data = dataset(**log(size, obs_dim, seed, ends))
    if obs_dim != 2:
        with pytest.raises(ValueError, match=f"^held_out has obs_dim {obs_dim}: the run's policies need 2$"):
            run.estimate(data, **QUICK)
        return
    found = run.estimate(data, uniform_behaviour=uniform, **QUICK)
    for name in ("fqe", "own_q", "bellman_error", "drift", "scale"):
        assert np.isfinite(found[name]).all(), name
        low, high = found[f"{name}_low"], found[f"{name}_high"]
        assert (low.isnull() == high.isnull()).all() and ((low <= high) | low.isnull()).all()
    assert uniform or (found.wis.isnull().all() and (found.wis_steps == 0).all())
    assert (found.wis_steps <= size).all()


@usual
@given(st.sampled_from(COLUMNS), st.integers(0, 11), st.sampled_from([nan, np.inf, -np.inf]))
def test_what_is_no_number_never_gets_into_an_estimate(run, name, row, value):
    arrays = log()
    column = arrays[name].astype(np.float64)
    column[row] = value
    with pytest.raises(ValueError, match=f"^{name} ") as refused:
        run.estimate(dataset(**arrays | {name: column}), **QUICK)
    assert "\n" not in str(refused.value)


@usual
@given(st.lists(st.integers(0, 6), min_size=2, max_size=4, unique=True))
def test_each_agent_meets_the_data_of_its_seed_in_whatever_order(run, seeds):
    arrays = [log(seed=seed, ends=[4]) for seed in seeds]
    data = hanq.Dataset.from_arrays(**{name: np.stack([one[name] for one in arrays]) for name in COLUMNS}, seeds=seeds, action_count=2)
    if {1, 3} <= set(seeds):
        found = run.estimate(data, **QUICK)
        for seed in (1, 3):
            alone = run.estimate(dataset(**log(seed=seed, ends=[4])), **QUICK)
            xarray.testing.assert_equal(found.sel(seed=seed), alone.sel(seed=seed))
    else:
        with pytest.raises(ValueError, match="^held_out has the seeds"):
            run.estimate(data, **QUICK)


ALLOWED = {"uniform_behaviour": ("None", "bool", "NumPy's bool"), "progress": ("bool", "NumPy's bool"), "gradient_steps": ()}


@pytest.mark.parametrize("argument", ALLOWED)
def test_odd_arguments_of_estimate_are_named_in_one_line(run, argument):
    data = dataset(**log())
    for kind in ODD.keys() - set(ALLOWED[argument]):
        with pytest.raises((TypeError, ValueError), match=f"^{argument}=") as refused:
            run.estimate(data, **QUICK | {argument: ODD[kind]})
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 500, kind


@pytest.mark.parametrize("kind", ONE)
def test_one_is_a_scale_in_whatever_it_is_wrapped(kind):
    assert rewards.reward_scales(ONE[kind], dataset(**log()), np.array([0.99])).tolist() == [1.0]


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_number_is_no_scale(kind):
    with pytest.raises(ValueError, match="^reward_scale=") as refused:
        rewards.reward_scales(ODD[kind], dataset(**log()), np.array([0.99]))
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


@settings(usual, max_examples=200)
@given(st.floats(), st.sampled_from([np.float16, np.float32, np.float64, float]))
def test_a_scale_is_a_positive_number_that_float32_can_take(value, kind):
    with np.errstate(all="ignore"):
        value = kind(value)
    if 1e-30 <= float(value) <= 1e30:
        assert rewards.reward_scales(value, dataset(**log()), np.array([0.99])).tolist() == [float(value)]
    else:
        with pytest.raises(ValueError, match="^reward_scale=.* is not allowed: use a number from 1e-30 to 1e[+]30, or 'auto'$"):
            rewards.reward_scales(value, dataset(**log()), np.array([0.99]))


@settings(usual, max_examples=100)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=9), st.sets(st.integers(0, 8)), st.sampled_from([0.0, 0.5, 0.99, 1.0]))
def test_auto_gives_returns_a_spread_of_100_or_names_the_seed_whose_returns_do_not_vary(values, ends, discount):
    data = replace(dataset(**log(len(values), ends=ends)), rewards=np.array([values], np.float32))
    spread = discounted_returns(data, discount).std()
    assume(not 0 < spread < 1e-20)
    if spread == 0:
        with pytest.raises(ValueError, match="^reward_scale='auto' needs discounted returns that vary, .* of seed 0 "):
            rewards.reward_scales("auto", data, np.array([discount]))
    else:
        scale = rewards.reward_scales("auto", data, np.array([discount]))
        assert scale * spread == pytest.approx(100)
        assert np.isfinite(rewards.scaled(data, scale).rewards).all()


@pytest.mark.parametrize("labels", [["right", "left"], None])
def test_held_out_actions_have_the_names_of_the_runs(labels):
    numbered, names = log(), np.array(["left", "right"])
    named = hanq.Dataset.from_arrays(**numbered | dict(actions=names[numbered["actions"]]), action_labels=["left", "right"])
    run = hanq.train(HANQ, named, learning_rate=1e-2, gradient_steps=2, eval_every=2, batch_size=4, **TORCH)
    assert np.isfinite(run.estimate(named, **QUICK).fqe).all()
    other = numbered if labels is None else numbered | dict(actions=names[numbered["actions"]])
    other = hanq.Dataset.from_arrays(**other, action_labels=labels, action_count=2)
    with pytest.raises(ValueError, match=r"^held_out has action_labels=.*: the run's policies have \('left', 'right'\), in this order"):
        run.estimate(other, **QUICK)
