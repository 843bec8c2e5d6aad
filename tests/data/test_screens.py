"""Binary screens are stored as bits, come back as they were, and are refused by name where they are not what they should be."""

from datetime import date

import numpy as np
import pytest

import hanq
from hanq.data.screens import pack, unpack


def logged(channels=4, size=6, side=10):
    random = np.random.default_rng(0)
    observations, next_observations = random.random((2, size, channels, side, side)) < 0.1
    return dict(
        observations=observations,
        actions=random.integers(3, size=size),
        rewards=random.normal(size=size).astype(np.float32),
        next_observations=next_observations,
        terminated=random.random(size) < 0.5,
    )


@pytest.mark.parametrize("screen", [(10, 10, 10), (4, 10, 10), (1, 3, 3), (2, 8, 8)])
def test_what_is_packed_comes_back_in_whole_words(screen):
    screens = np.random.default_rng(0).random((3, 5, *screen)) < 0.3
    packed = pack(screens)
    assert packed.shape[:2] == (3, 5) and packed.shape[2] % 8 == 0 and packed.shape[2] * 8 < np.prod(screen) + 64
    np.testing.assert_array_equal(unpack(packed, screen), screens)
    words = packed.view(np.uint64)  # the engine's view: pixel k is bit k % 64 of word k // 64
    flat = screens.reshape(3, 5, -1)
    for k in (0, np.prod(screen) // 2, np.prod(screen) - 1):
        np.testing.assert_array_equal(words[..., k // 64] >> np.uint64(k % 64) & np.uint64(1), flat[..., k])


def test_a_dataset_holds_and_saves_what_was_logged(tmp_path):
    given = logged()
    data = hanq.ScreenDataset.from_screens(**given, environment="MinAtar/Breakout", provenance={"from": "a log"})
    assert (data.environment, data.action_count, data.screen, data.size) == ("MinAtar/Breakout-v1", 3, (4, 10, 10), 6)
    assert data.observations.nbytes == 6 * 56
    data.save(tmp_path / "data.nc")
    for one in (data, hanq.load_dataset(tmp_path / "data.nc")):
        np.testing.assert_array_equal(one.screens_at(np.arange(6))[0], given["observations"])
        np.testing.assert_array_equal(one.screens_at([2, 0], following=True)[0], given["next_observations"][[2, 0]])
        np.testing.assert_array_equal(one.rewards[0], given["rewards"])
        assert one.digest == data.digest and one.provenance == {"from": "a log"}


def test_datasets_of_several_seeds_are_selected_by_seed():
    one, other = logged(), logged()
    other["observations"] = ~other["observations"]
    both = {name: np.stack([one[name], other[name]]) for name in one}
    data = hanq.ScreenDataset.from_screens(**both, seeds=[7, 3])
    np.testing.assert_array_equal(data.sel(3).screens_at(np.arange(6))[0], other["observations"])
    with pytest.raises(KeyError, match=r"seeds=\[4\] are not in this dataset"):
        data.sel([4])


BAD = {
    "channels": (dict(logged(channels=6), environment="MinAtar/Breakout-v1"), "observations has 6 channels.* use 4"),
    "order": (
        dict(logged(), observations=np.moveaxis(logged()["observations"], 1, -1), environment="MinAtar/Breakout-v1"),
        r"observations has shape \(6, 10, 10, 4\): use \(..., 4, side, side\); np.moveaxis",
    ),
    "grey": (dict(logged(), next_observations=logged()["next_observations"] * 0.5), "next_observations holds 0.5 at index .* binary"),
    "bytes": (dict(logged(), observations=logged()["observations"] * np.uint8(255)), "observations holds 255 at index .* binary"),
    "NaN": (dict(logged(), observations=np.full((6, 4, 10, 10), np.nan)), "observations holds nan .* binary"),
    "rewards": (dict(logged(), rewards=[0.0]), r"rewards has shape \(1,\)"),
    "actions": (dict(logged(), action_count=2), "actions holds 2: use integers from 0 to 1"),
    "the game's actions": (
        dict(logged(), environment="MinAtar/Breakout-v1", action_count=7),
        "action_count=7 contradicts MinAtar/Breakout-v1, of 3",
    ),
    "negative": (dict(logged(), actions=[-1] * 6), "actions holds -1: use integers from 0"),
    "tiny": (
        {name: np.zeros((6, 4, 2, 2)) if name.endswith("observations") else value for name, value in logged().items()},
        "2x2: use at least 3x3",
    ),
    "dates": (dict(logged(), provenance={"when": date(2026, 1, 1)}), "provenance=.* is not plain data"),
    "no dict": (dict(logged(), provenance="abc"), "provenance='abc' is not plain data: .*it is no dict"),
    "no actions": (dict(logged(), action_count=0), "action_count=0"),
    "fewer": (dict(logged(), next_observations=logged()["next_observations"][1:]), r"next_observations has shape \(5, 4, 10, 10\)"),
    "one screen": ({name: value[0] for name, value in logged().items()}, r"observations has shape \(4, 10, 10\): use \(size"),
    "game": (dict(logged(), environment="MinAtar/Pong-v1"), "environment='MinAtar/Pong-v1' is no game of MinAtar: use one of"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_screens_are_refused_by_name(name):
    arguments, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        hanq.ScreenDataset.from_screens(**arguments)
