"""Promise: whatever `from_arrays`, `train` and `policy` are given, they work or name it in one line."""

import random
import re
import warnings
from contextlib import suppress

import numpy as np
import pytest
import torch
from fuzz import fault, report
from helper import FULL

import hanq

INPUTS = 4_000 if FULL else 300

pytestmark = pytest.mark.filterwarnings("ignore")


def plain(generator, size=6, obs_dim=2):
    """The arguments of `from_arrays`, well formed."""
    observations = generator.normal(size=(2, size, obs_dim))
    return dict(
        observations=observations[0],
        actions=generator.integers(2, size=size),
        rewards=generator.normal(size=size),
        next_observations=observations[1],
        terminated=generator.random(size) < 0.3,
    )


SPECIAL = [np.nan, np.inf, -np.inf, -1, 1e39, 2**24 + 1, 0.5, 2**63, -0.0, True, None, "x", 1j, b"1", {}, [], (), object()]
CONTAINERS = [
    list,
    tuple,
    torch.as_tensor,
    np.ma.masked_array,
    lambda a: a.astype(object),
    lambda a: a.tolist(),
    iter,
    lambda a: torch.as_tensor(a).to(torch.bfloat16),
    lambda a: torch.as_tensor(a, dtype=torch.float64).requires_grad_(),
    lambda a: np.ma.masked_less(a, 0),
    lambda a: a[..., ::-1],
    np.asfortranarray,
    lambda a: a.view(np.recarray),
    lambda a: torch.as_tensor(a).to_sparse(),
    lambda a: {0: a},
    memoryview,
    lambda a: a.astype("datetime64[s]"),
    lambda a: np.array(a, dtype=[("x", float)]),
    lambda a: torch.as_tensor(a).to("meta"),
]
TYPES = ["f2", "f4", "f8", "g", "i1", "u1", "u8", "?", "c8", "U3", "S2", "O", "M8[s]", ">f4", "V4"]
SHAPES = [
    lambda a: a[None],
    lambda a: a[:0],
    lambda a: a[:-1],
    lambda a: a[..., :0],
    lambda a: a[0],
    lambda a: a.T,
    lambda a: np.stack([a, a]),
    lambda a: a.reshape(-1),
    lambda a: a[None, None],
    lambda a: np.repeat(a, 3, -1),
    lambda a: a.reshape(1, -1),
    lambda a: np.float64(a.ravel()[0]),
]


def put(array, value, index):
    """The array with one value put in, as whichever type holds it."""
    changed = array.astype(object if not isinstance(value, (int, float)) else np.result_type(array, type(value)))
    with suppress(OverflowError):
        changed.reshape(-1)[index % changed.size] = value
    return changed


def mutated(chance, value):
    """An array argument after one change of container, type, shape or value."""
    kind = chance.randrange(5)
    with suppress(Exception), warnings.catch_warnings():  # a change that NumPy or torch has no answer to is none
        warnings.simplefilter("ignore")
        if kind == 0:
            return chance.choice(CONTAINERS)(np.asarray(value))
        if kind == 1:
            return np.asarray(value).astype(chance.choice(TYPES))
        if kind == 2:
            return chance.choice(SHAPES)(np.asarray(value))
        if kind == 3:
            return put(np.asarray(value), chance.choice(SPECIAL), chance.randrange(99))
        return chance.choice(SPECIAL)
    return value


SETTINGS = dict(
    learning_rate=1e-2,
    hyper_lr=0.1,
    target_rate=0.5,
    discount=0.9,
    weight_decay=0.0,
    gradient_steps=2,
    batch_size=2,
    eval_every=1,
    eval_episodes=1,
    eval_velocity=None,
    seeds=None,
    device=None,
    engine="torch",
    checkpoint=None,
    environment=None,
    standardise=False,
)
NETWORK = hanq.Algorithm(hidden_features=3)


def fuzzed_arrays(chance, generator):
    """A call of from_arrays, train or policy with one or two arguments that are not as they should be."""
    arrays, options, settings, which, seen = plain(generator), {}, dict(SETTINGS), {}, np.zeros(2)
    target = chance.choice(["arrays", "arrays", "options", "train", "policy"])
    if target == "arrays":
        for name in chance.sample(list(arrays), chance.choice([1, 1, 2])):
            arrays[name] = mutated(chance, arrays[name])
    elif target == "options":
        name = chance.choice(["environment", "action_count", "seeds", "provenance", "truncated", "action_labels"])
        options[name] = chance.choice(SPECIAL + [["Pendulum"], 3, [3], {"a": {1}}, "CartPole", np.int8(4), 10**9, [[1]], np.array("a")])
    elif target == "train":
        name = chance.choice(list(settings))
        settings[name] = mutated(chance, settings[name] if settings[name] is not None else 1)
        with suppress(Exception):
            if name in ("gradient_steps", "eval_episodes", "batch_size") and float(settings[name]) > 5:
                settings[name] = 5  # to keep what is right short
        if name == "checkpoint" and not isinstance(settings[name], (type(None), bytes)):
            settings[name] = "/dev/null/" + str(settings[name])
    else:
        seen = mutated(chance, seen)
        which = chance.choice([{}, {chance.choice(["seed", "learning_rate", "x"]): mutated(chance, 0)}])

    def call():
        data = hanq.Dataset.from_arrays(**arrays, **options)
        if target in ("train", "policy"):
            hanq.train(NETWORK, data, **settings, progress=False).policy(**which)(seen)

    given = {"arrays": arrays, "options": options, "train": settings, "policy": (seen, which)}[target]
    return call, given


def test_fuzzed_arrays_work_or_are_refused_by_name(record_property):
    chance, generator, faults = random.Random(0), np.random.default_rng(0), []
    for _ in range(INPUTS):
        call, given = fuzzed_arrays(chance, generator)
        what = fault(call)
        if what:
            faults.append((what, re.sub(r"\s+", " ", repr(given))[:300]))
    report(faults, INPUTS, record_property)
