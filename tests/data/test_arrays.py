"""Promise: whatever holds numbers makes a dataset; what lacks some, or loses their digits, is named."""

import warnings

import numpy as np
import pandas
import pytest
import scipy.sparse
import torch
from helpers import logged
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_values import CONTAINERS, frame

import hanq
from hanq.data.dataset import DIMS


@pytest.mark.filterwarnings("ignore:actions never logged")
@pytest.mark.parametrize("contain", CONTAINERS.values(), ids=CONTAINERS.keys())
@settings(deadline=None, derandomize=True, max_examples=5)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 4, st.integers(0, 2), st.booleans()), min_size=1, max_size=5))
def test_whatever_holds_numbers_gives_the_same_dataset(contain, rows):
    table = np.array(rows, int)
    plain = [table[:, :2], table[:, 4], table[:, 0], table[:, 2:4], table[:, 5]]
    expected = hanq.Dataset.from_arrays(*plain)
    data = hanq.Dataset.from_arrays(*(contain(np.array(values)) for values in plain))
    assert data.digest == expected.digest and data.action_count == expected.action_count
    assert all(getattr(data, name).flags.c_contiguous and getattr(data, name).dtype.isnative for name in DIMS)


def masked(values, where):
    mask = np.zeros(values.shape, bool)
    mask[where] = True
    return np.ma.array(np.where(mask, -9999, values), mask=mask)


def with_object(value):
    def spoiled(values, where):
        values = values.astype(object)
        values[where] = value
        return values

    return spoiled


def missing(values, where):
    values = frame(values, "Int64")
    values.iloc[where] = pandas.NA
    return values


SPOILED = {
    "masked": (masked, "{name} is masked at index {where}: use numbers throughout"),
    "masked in a list": (lambda values, where: list(masked(values, where)), "{name} is masked at index {where}"),
    "missing": (missing, "{name} holds (nan|<NA>) at index {where}: use "),
    "None": (with_object(None), "{name} holds None at index {where}: use numbers"),
    "text": (with_object("a" * 999), "{name} holds 'aaa.* ... .*aaa' at index {where}: use numbers"),
    "huge": (with_object(10**5000), "{name} holds an integer of 16610 bits at index {where}: use numbers"),
    "complex": (with_object(1j), "{name} holds 1j at index {where}: use numbers"),
    "meta": (lambda values, where: torch.tensor(values).to("meta"), "{name} is a tensor that has no plain numbers: use a dense one"),
    "sparse tensor": (lambda values, where: torch.tensor(values).to_sparse(), "{name} is a tensor that has no plain numbers"),
    "sparse": (lambda values, where: scipy.sparse.csr_array(values), "{name} is a csr_array: use an array of numbers"),
    "complex array": (lambda values, where: values * 1j, "{name} has dtype complex128: use numbers"),
    "complex tensor": (lambda values, where: torch.tensor(values) * 1j, "{name} has dtype complex64: use numbers"),
    "datetime": (lambda values, where: values.astype("M8[s]"), r"{name} has dtype datetime64\[s\]: use numbers"),
    "bytes": (lambda values, where: values.astype("S2"), r"{name} has dtype |S2: use numbers"),
    "structured": (lambda values, where: values.astype([("a", float)]), "{name} has dtype .*: use numbers"),
    "nothing": (lambda values, where: None, "{name} is a NoneType: use an array of numbers"),
    "generator": (lambda values, where: (one for one in values), "{name} is a generator: use an array of numbers"),
    "0-d": (lambda values, where: np.array(0), "{name} has shape"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILED.values(), ids=SPOILED.keys())
@settings(deadline=None, derandomize=True, max_examples=8)
@given(st.sampled_from(list(DIMS)), st.integers(0, 5), st.integers(0, 2))
def test_what_holds_no_numbers_or_lacks_some_is_refused_by_name_and_place(spoil, message, name, row, column):
    where = (row, column)[: len(DIMS[name]) - 1]
    given_arrays = logged() | {name: spoil(np.ones(np.shape(logged()[name]), int), where)}
    place = str(where).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=message.format(name=name, where=place)) as refused:
        hanq.Dataset.from_arrays(**given_arrays)
    assert len(str(refused.value)) < 500 and "\n" not in str(refused.value)


large = st.integers(-(2**62), 2**62) | st.integers(2**24 - 2, 2**24 + 6) | st.integers(-5, 5)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.sampled_from(["observations", "rewards"]), st.lists(large, min_size=3, max_size=3), st.sampled_from([int, float, object]))
def test_digits_that_float32_has_not_are_said_and_integers_are_never_confused(name, values, kind):
    if kind is float:
        values = [int(value) % 2**53 for value in values]
    column = np.array(values, kind)
    arrays = logged(size=3) | {name: column[:, None] if name == "observations" else column}
    if name == "observations":
        arrays["next_observations"] = np.zeros((3, 1))
    rounded = np.array(values, np.int64).astype(np.float32)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            data = hanq.Dataset.from_arrays(**arrays)
        except ValueError as error:
            assert f"{name} holds" in str(error) and "are one number in float32" in str(error)
            assert len(set(rounded.tolist())) < len(set(values))
            return
    assert len(set(rounded.tolist())) == len(set(values))
    np.testing.assert_array_equal(getattr(data, name).ravel(), rounded)
    lost = [value for value, single in zip(values, rounded.tolist(), strict=True) if value != single]
    assert len(said) == bool(lost)
    assert not lost or any(f"{name} holds {value}, which float32 rounds to" in str(said[0].message) for value in lost)


def test_lost_digits_are_said_once_and_where_the_user_called():
    given_arrays = logged() | {name: np.full((6, 3), 2**24 + 1) for name in ("observations", "next_observations")}
    with pytest.warns(UserWarning, match="observations holds 16777217, which float32 rounds to 16777216") as said:
        hanq.Dataset.from_arrays(**given_arrays, action_count=3)
    assert len(said) == 1 and said[0].filename == __file__


def test_float32_and_measurements_of_more_digits_are_taken_as_they_are():
    times = 1.7e9 + np.random.default_rng(0).random((6, 3))
    for values in (times, 1e20 * times, np.round(times).astype(np.float32)):
        hanq.Dataset.from_arrays(**logged() | dict(observations=values))  # warnings are errors here
