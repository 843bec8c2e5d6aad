"""Promise: hanq.train refuses what it cannot do, naming the argument, its value and what is allowed."""

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas
import pytest
import torch
import xarray
from helpers import DQN, small_pendulum
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_values import ODD, ONE

import hanq
from hanq.engines import torch_engine

nan, inf = float("nan"), float("inf")
RATES = ["learning_rate", "hyper_lr", "target_rate", "discount", "weight_decay"]
COUNTS = ["gradient_steps", "batch_size", "eval_every", "eval_episodes"]


ALLOWED_NONE = ("eval_velocity", "seeds", "device")  # which then have a default
NUMBERS = [*RATES, *COUNTS, "eval_velocity"]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", [*NUMBERS, "seeds", "engine", "device", "algorithm", "dataset"])
def test_what_is_no_number_or_name_is_refused_in_one_short_line(name, odd):
    if odd == "None" and name in ALLOWED_NONE:
        return
    data = small_pendulum().sel([0])
    with pytest.raises(TypeError if name in ("algorithm", "dataset") else ValueError) as refused:
        train(**dict(dataset=data) | {name: ODD[odd]})
    message = str(refused.value)
    assert re.match(f"{name}=.*(is not|out of range|unknown|repeats).*use", message), message
    assert len(message) < 900 and "\n" not in message


@pytest.mark.parametrize("one", ONE)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_in_any_wrapping_is_the_number(name, one):
    counts = dict(gradient_steps=1, eval_every=1, dataset=small_pendulum().sel([0]))
    expected, run = (train(**counts | {name: value}) for value in (1, ONE[one]))
    np.testing.assert_array_equal(run.parameters, expected.parameters)
    assert run.curves[RATES].coords.equals(expected.curves[RATES].coords)
    assert [run.curves.attrs[count] for count in (*COUNTS, "eval_velocity")] == [
        expected.curves.attrs[count] for count in (*COUNTS, "eval_velocity")
    ]


@pytest.mark.parametrize("value", [2**63, 10**30, 1e19, 2.0**70])
@pytest.mark.parametrize("name", COUNTS)
def test_a_count_beyond_64_bits_is_refused(name, value):
    assert_refused(f"{name}=.* is not allowed", "at least 1 and below 9223372036854775808", **{name: value})


@pytest.mark.parametrize(
    "rates",
    [
        np.ma.array([0.5, 1.0]),
        pandas.Series([0.5, 1.0]),
        pandas.array([0.5, 1.0], "Float64"),
        torch.tensor([0.5, 1.0], requires_grad=True).bfloat16(),
        [torch.tensor(0.5), np.float32(1)],
        xarray.DataArray([0.5, 1.0]),
        (Fraction(1, 2), 1),
    ],
)
def test_rates_in_any_wrapping_are_an_axis(rates):
    assert train(learning_rate=rates, gradient_steps=1, eval_every=1).curves.learning_rate.values.tolist() == [0.5, 1.0]


def train(**changes):
    usual = dict(
        algorithm=DQN,
        dataset=small_pendulum(),
        learning_rate=1e-2,
        gradient_steps=4,
        eval_every=2,
        eval_episodes=1,
        engine="torch",
        progress=False,
    )
    return hanq.train(**usual | changes)


def assert_refused(*parts, error=ValueError, **changes):
    with pytest.raises(error) as refused:
        train(**changes)
    for part in parts:
        assert re.search(part, str(refused.value)), (part, str(refused.value))


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("value", [-0.1, nan, inf, -inf])
def test_a_rate_that_is_negative_or_not_finite_is_refused(name, value):
    allowed = "above 0" if name == "learning_rate" else "from 0 to 1" if name in ("target_rate", "discount") else "at least 0"
    assert_refused(f"{name}={value}", allowed, **{name: value})
    assert_refused(f"{name}={value}", allowed, **{name: [0.5, value]})


@pytest.mark.parametrize("name", ["target_rate", "discount"])
def test_a_rate_above_1_is_refused_where_1_is_the_most(name):
    assert_refused(f"{name}=1.01", "from 0 to 1", **{name: 1.01})
    train(**{name: [0.0, 1.0]})


@pytest.mark.parametrize("value", [0, 0.0, 1e-60, 1e39])
def test_a_learning_rate_that_is_no_positive_float32_is_refused(value):
    assert_refused("learning_rate=", "above 0", learning_rate=value)


@pytest.mark.parametrize("name", ["hyper_lr", "weight_decay"])
def test_a_rate_beyond_float32_is_refused(name):
    assert_refused(f"{name}=1e[+]39", "float32's range", **{name: 1e39})


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("value", ["0.1", True, [0.1, 0.2, 0.1], [], [[0.1, 0.2]], "fast", ["a"], None, {"a": 1}])
def test_what_is_no_number_or_flat_sequence_of_distinct_ones_is_refused(name, value):
    assert_refused(name, r"out of range|not allowed: use a number or a flat sequence", **{name: value})


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.sampled_from(RATES), st.lists(st.floats(-1, 2), min_size=1, max_size=3))
def test_an_axis_is_either_refused_by_name_or_becomes_the_coordinate(name, values):
    try:
        run = train(dataset=small_pendulum().sel([0]), gradient_steps=1, eval_every=1, **{name: values})
    except ValueError as error:
        high = 1 if name in ("target_rate", "discount") else inf
        low = 1.2e-38 if name == "learning_rate" else 0
        assert name in str(error)
        assert len(set(values)) < len(values) or not all(low <= value <= high for value in values)
    else:
        assert run.curves[name].values.tolist() == values


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 2.5, nan, inf, True, "10", None, [2]])
def test_a_count_that_is_no_positive_integer_is_refused(name, value):
    assert_refused(f"{name}={re.escape(repr(value))} is not allowed", "an integer of at least 1", **{name: value})


def test_more_steps_between_evaluations_than_steps_are_refused():
    assert_refused("eval_every=5", "gradient_steps=4", eval_every=5)


@pytest.mark.parametrize("value", [-0.1, 8.1, nan, inf, "1", [1.0]])
def test_a_velocity_that_the_pendulum_cannot_have_is_refused(value):
    assert_refused(f"eval_velocity={re.escape(repr(value))} is out of range", "from 0 to 8", eval_velocity=value)


@pytest.mark.filterwarnings("ignore:the dataset names no environment")
def test_a_velocity_of_starts_is_pendulums_alone():
    with pytest.raises(ValueError, match="eval_velocity=2.0 applies to Pendulum only: leave it out for CartPole"):
        train(dataset=hanq.collect("CartPole", [0], size=8), eval_velocity=2.0)
    with pytest.raises(ValueError, match="leave it out for data without an environment"):
        train(dataset=replace(hanq.collect("CartPole", [0], size=8), environment=None), eval_velocity=2.0)


def test_an_unknown_engine_is_refused():
    for engine in ("jax", "", None, 3):
        assert_refused(f"engine={engine!r} is unknown", "'auto'", "'torch'", engine=engine)


def test_the_fused_engine_refuses_another_device():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(torch_engine.DEVICES, "cuda", lambda: True)
        assert_refused("engine='fused' needs the CPU", "device='cuda'", "'torch'", engine="fused", device="cuda")


@pytest.mark.parametrize("device", ["banana", "meta", 3, "cuda:99", 1.5, "cpu:7"])
def test_a_device_that_is_not_there_is_refused(device, monkeypatch):
    monkeypatch.setitem(torch_engine.DEVICES, "cuda", lambda: False)
    for engine in ("auto", "torch"):
        assert_refused(f"device={device!r}", "use one of .*cpu", device=device, engine=engine)


@pytest.mark.parametrize("layers", [1, 2])
def test_on_a_cpu_auto_is_the_fused_engine(layers):
    for device in (None, "cpu", torch.device("cpu")):
        run = train(algorithm=replace(DQN, hidden_layers=layers), engine="auto", device=device)
        assert run.curves.attrs["engine"] == "fused"


def test_what_is_no_algorithm_or_dataset_is_refused():
    assert_refused("algorithm='HANQ' is not an Algorithm", "hanq.DQN", error=TypeError, algorithm="HANQ")
    assert_refused("algorithm=None is not an Algorithm", error=TypeError, algorithm=None)
    assert_refused("dataset='Pendulum' is not a Dataset", "hanq.collect", error=TypeError, dataset="Pendulum")


def test_seeds_need_one_dataset():
    assert_refused("seeds=range", "4", "dataset.sel", seeds=range(3))


@pytest.mark.parametrize("seeds", [[0, 0], [-1, 2], [], [0.5], "ab", [[1, 2]], [nan]])
def test_agents_seeds_must_be_distinct_integers_from_0(seeds):
    assert_refused("seeds=", "distinct integers from 0", dataset=small_pendulum().sel([0]), seeds=seeds)


def test_an_unknown_argument_is_refused():
    assert_refused("lr", error=TypeError, lr=0.1)
    with pytest.raises(TypeError, match="learning_rate"):
        hanq.train(DQN, small_pendulum())


def test_numbers_are_keyword_only():
    with pytest.raises(TypeError):
        hanq.train(DQN, small_pendulum(), 1e-2)


def test_a_refusal_comes_before_any_work(tmp_path):
    assert_refused("learning_rate", learning_rate=-1, gradient_steps=10**9, eval_every=10**9, checkpoint=tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_a_dataset_is_left_as_it_was():
    data = small_pendulum()
    before = {name: getattr(data, name).copy() for name in ("observations", "rewards", "terminated")}
    train(dataset=data)
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(data, name), values)
