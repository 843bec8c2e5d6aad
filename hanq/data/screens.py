"""Offline data whose observations are binary screens, such as MinAtar's: one bit a pixel, in memory as in files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Self

import numpy as np
import xarray
from numpy.typing import ArrayLike

from hanq.data import minatar
from hanq.data.foundations import records
from hanq.data.foundations.arguments import array, check_seeds, plain
from hanq.data.foundations.settings import set_aside
from hanq.data.transitions import DIMS, checked, count_actions, numbered, refuse, select

WORD = 8  # bytes: the compiled engine reads a screen as 64-bit words
LEAST_SIDE = 3  # pixels, the side of the convolution's filters
KIND = "screens"
PACKED = ("observations", "next_observations")
TYPES = {"observations": "uint8", "actions": "int64", "rewards": "float32", "next_observations": "uint8", "terminated": "bool"}


def pack(screens: np.ndarray) -> np.ndarray:
    """Pack screens, (..., channels, height, width) of bool, into bits: (..., bytes) uint8, whole words, the lowest bit first."""
    bits = np.packbits(screens.reshape(*screens.shape[:-3], -1), axis=-1, bitorder="little")
    packed = np.zeros((*bits.shape[:-1], -(-bits.shape[-1] // WORD) * WORD), np.uint8)
    packed[..., : bits.shape[-1]] = bits
    return packed


def packed_bytes(screen: tuple[int, int, int]) -> int:
    """Return the number of bytes of one packed screen."""
    return -(-int(np.prod(screen)) // (8 * WORD)) * WORD


def unpack(packed: np.ndarray, screen: tuple[int, int, int]) -> np.ndarray:
    """Undo `pack`: (..., bytes) -> (..., channels, height, width) uint8 of 0 and 1."""
    bits = np.unpackbits(packed, axis=-1, count=int(np.prod(screen)), bitorder="little")
    return bits.reshape(*packed.shape[:-1], *screen)


def check_screens(name: str, screens: ArrayLike, channels: int | None = None) -> np.ndarray:
    """Return binary screens as bool, (..., channels, height, width). Raises ValueError naming what is not allowed.

    channels: how many there must be, or None.
    """
    found = array(name, screens)
    shape, wanted = found.shape, "channels" if channels is None else channels
    if found.ndim < 3 or 0 in shape or shape[-1] != shape[-2]:
        raise ValueError(f"{name} has shape {shape}: use (..., {wanted}, side, side); np.moveaxis(screens, -1, -3) brings channels forward")
    if channels not in (None, shape[-3]):
        raise ValueError(f"{name} has {shape[-3]} channels, in shape {shape}: use {channels}")
    if shape[-1] < LEAST_SIDE:
        raise ValueError(f"{name} has screens of {shape[-2]}x{shape[-1]}: use at least {LEAST_SIDE}x{LEAST_SIDE}, the size of a filter")
    refuse(name, found, (found != 0) & (found != 1), "0 and 1, for screens are binary")
    return found.astype(bool)


@dataclass(frozen=True, eq=False)
class ScreenDataset:
    """Logged transitions between binary screens, one dataset for each seed, all of the same size.

    `terminated` is true only where an episode really ended, not where it was cut off.
    """

    observations: np.ndarray
    """(seeds, size, bytes) uint8: packed bits; `screens_at` unpacks them"""
    actions: np.ndarray
    """(seeds, size) int64, from 0"""
    rewards: np.ndarray
    """(seeds, size) float32"""
    next_observations: np.ndarray
    """(seeds, size, bytes) uint8: packed bits"""
    terminated: np.ndarray
    """(seeds, size) bool"""
    seeds: np.ndarray
    """(seeds,) int64"""
    environment: str | None
    """The game in which policies are evaluated, such as "MinAtar/Seaquest-v1", or None."""
    action_count: int
    """The number of actions to choose from."""
    screen: tuple[int, int, int]
    """Channels, height and width of a screen."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where the data come from."""
    action_labels = None

    @property
    def size(self) -> int:
        """The number of transitions of each seed."""
        return self.observations.shape[1]

    @property
    def obs_dim(self) -> int:
        """The number of pixels of a screen, in all channels."""
        return int(np.prod(self.screen))

    @property
    def digest(self) -> str:
        """A checksum of the transitions, without their provenance."""
        return records.digest(self.to_xarray().drop_attrs())

    @classmethod
    @set_aside()
    def from_screens(
        cls,
        observations: ArrayLike,
        actions: ArrayLike,
        rewards: ArrayLike,
        next_observations: ArrayLike,
        terminated: ArrayLike,
        *,
        environment: str | None = None,
        action_count: int | None = None,
        seeds: ArrayLike | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make a dataset from your own logged screens.

        - observations, next_observations: (seeds, size, channels, side, side) of 0 and 1, or without the axis of seeds.
        - actions (integers from 0), rewards, terminated: the same shape without the last three axes.
        - environment: a game of MinAtar, see `hanq.collect`, which then must show as many channels; or None.
        - action_count: by default the game's, or the largest logged action plus one. seeds: by default 0, 1, ...

        Raises ValueError naming the argument for a wrong shape, a wrong number of channels, and screens that are not binary.
        """
        game = None if environment is None else minatar.find(environment)
        provenance = plain("provenance", {} if provenance is None else provenance)
        channels = None if game is None else minatar.channels_of(game)
        screens = {
            name: check_screens(name, value, channels)
            for name, value in (("observations", observations), ("next_observations", next_observations))
        }
        shape = screens["observations"].shape
        columns = {"actions": numbered("actions", actions, None), "rewards": checked("rewards", rewards)}
        columns["terminated"] = checked("terminated", terminated)
        for name, expected in {"next_observations": shape, **dict.fromkeys(columns, shape[:-3])}.items():
            there = (screens | columns)[name].shape
            if there != expected:
                raise ValueError(f"{name} has shape {there}: observations of shape {shape} need {expected}")
        if len(shape) not in (4, 5):
            raise ValueError(f"observations has shape {shape}: use (size, channels, side, side), or (seeds, size, channels, side, side)")
        arrays = {name: pack(value) for name, value in screens.items()} | columns
        arrays = arrays if len(shape) == 5 else {name: value[None] for name, value in arrays.items()}
        count = count_actions(arrays["actions"], action_count, None, game)
        seeds = check_seeds(np.arange(len(arrays["actions"])) if seeds is None else seeds, len(arrays["actions"]))
        return cls._made(arrays, seeds, None if game is None else game.name, count, shape[-3:], provenance)

    @classmethod
    def _made(cls, arrays, seeds, environment, action_count, screen, provenance):
        """Make a dataset from arrays that have been checked."""
        arrays = {name: np.ascontiguousarray(arrays[name], TYPES[name]) for name in DIMS}
        return cls(**arrays, seeds=seeds, environment=environment, action_count=action_count, screen=screen, provenance=provenance)

    def screens_at(self, index: ArrayLike, *, following: bool = False) -> np.ndarray:
        """Return the screens (seeds, ..., channels, height, width) uint8 of these transitions; `following`: the ones after them."""
        packed = self.next_observations if following else self.observations
        return unpack(packed[:, np.asarray(index)], self.screen)

    def sel(self, seeds: ArrayLike) -> Self:
        """Select the datasets of these seeds, in this order.

        Raises KeyError for a seed that is not in the dataset, and ValueError unless the seeds are distinct integers.
        """
        return select(self, seeds)

    def to_xarray(self) -> xarray.Dataset:
        """Convert to labelled arrays, still packed, with the provenance in the attributes."""
        variables = {name: ((*dims[:2], *["byte"] * (name in PACKED)), getattr(self, name)) for name, dims in DIMS.items()}
        attrs = {
            "kind": KIND,
            "environment": self.environment or "",
            "action_count": self.action_count,
            "screen": json.dumps(self.screen),
            "provenance": json.dumps(self.provenance),
        }
        return xarray.Dataset(variables, {"seed": self.seeds}, attrs)

    def save(self, path: str | PathLike) -> None:
        """Write the dataset to one file, atomically, replacing what is there; `hanq.load_dataset` reads it."""
        records.save(self.to_xarray(), path)

    @classmethod
    def _stored(cls, stored, path):
        """Return the dataset in a file that `records.load` has read. Raises ValueError if its parts do not fit together."""
        screen = tuple(json.loads(stored.attrs["screen"]))
        arrays = {name: stored[name].values for name in DIMS}
        size, packed = arrays["actions"].shape, packed_bytes(screen)
        count = int(stored.attrs["action_count"])
        wanted = {name: (*size, packed) if name in PACKED else size for name in DIMS}
        if {name: one.shape for name, one in arrays.items()} != wanted or not (
            (arrays["actions"] >= 0) & (arrays["actions"] < count)
        ).all():
            raise ValueError(f"path={str(path)!r} holds screens whose parts do not fit together: collect them again")
        provenance = json.loads(stored.attrs["provenance"])
        return cls._made(arrays, check_seeds(stored["seed"].values), stored.attrs["environment"] or None, count, screen, provenance)
