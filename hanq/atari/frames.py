"""Offline Seaquest data from uniformly random play, stored on disk one frame at a time and memory-mapped.

Each seed has two files. The `.frames` file holds the frames as raw bytes. The `.nc` file holds, for each step, the action,
the clipped reward, whether the episode ended, and the positions of two frames: the one observed and the first of its
episode. As in CleanRL, an episode is one life. Its first stack repeats its first frame four times, and its last frame is
stored too, so that the observations before and after every step can be assembled by index alone.

Play is a function of the seed. It comes in blocks of games, each started from a freshly seeded emulator, so that a
collection that was killed continues with the next block and ends with the same bytes.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

import numpy as np
import xarray
from tqdm.auto import tqdm

from hanq.atari import game
from hanq.atari.network import FRAMES, SIDE
from hanq.data.foundations import records
from hanq.data.foundations.arguments import check_seeds, positive_integer
from hanq.data.foundations.files import as_path, clear_locks, locked
from hanq.data.foundations.generator import BEHAVIOUR, GAME, integer

GAMES = 8  # games per block: seeding loads the ROM again, which takes as long as 200 steps
TYPES = {"actions": "uint8", "rewards": "int8", "terminated": "bool", "rows": "int32", "first_rows": "int32"}
FRAME_BYTES = SIDE * SIDE
KIND = "seaquest frames"


@dataclass(frozen=True, eq=False)
class Frames:
    """One seed's transitions."""

    frames: np.ndarray
    """(frames, 84, 84) uint8, memory-mapped"""
    actions: np.ndarray
    """(size,) uint8"""
    rewards: np.ndarray
    """(size,) int8: the sign of the game's reward"""
    terminated: np.ndarray
    """(size,) bool: whether a life was lost"""
    rows: np.ndarray
    """(size,) int32: the position of the frame in which the action was taken; the frame after it is the result"""
    first_rows: np.ndarray
    """(size,) int32: the position of the first frame of the episode"""
    seed: int
    provenance: dict
    digest: str
    """Checksum of the transitions and their frames."""

    @property
    def size(self):
        return len(self.actions)

    @cached_property
    def stack_rows(self):
        """Positions of the four frames of each observation and of the next frame, all of one episode: (size, 5) int64."""
        rows = self.rows[:, None] + np.arange(1 - FRAMES, 2)
        return np.maximum(rows, self.first_rows[:, None]).astype(np.int64)

    def observations(self, index):
        """Return the stacks observed at these steps, (..., 4, 84, 84), with the newest frame last."""
        return self.frames[self.stack_rows[index][..., :-1]]

    def next_observations(self, index):
        """Return the stacks observed after these steps, (..., 4, 84, 84)."""
        return self.frames[self.stack_rows[index][..., 1:]]


@dataclass(frozen=True, eq=False)
class FrameDataset:
    """Transitions of several seeds, equally many of each, with the interface that `torch_engine.TorchEngine` expects."""

    members: tuple[Frames, ...]

    @property
    def size(self):
        return self.members[0].size

    @property
    def seeds(self):
        return np.array([member.seed for member in self.members], np.int64)

    @property
    def digest(self):
        return " ".join(member.digest for member in self.members)


def play_block(env, seed, block, most):
    """Play `GAMES` games at random, for at most `most` steps. Returns the frames and the columns of the transitions."""
    frames, steps = [], []
    for number in range(GAMES):
        seeds = [integer(game.SEEDS, seed, GAME, block, 0)] if number == 0 else None
        (frame,), (lives,) = game.start(env, seeds)
        over = False
        while not over:
            first, lost = len(frames), False
            frames.append(frame)
            while not (over or lost):
                action = integer(env.single_action_space.n, seed, BEHAVIOUR, block, len(steps))
                pictures, (reward,), (ended,), (cut_off,), info = env.step(np.array([action]))
                left = info["lives"][0]
                lost, lives = 0 < left < lives, left
                steps.append((action, np.sign(reward), ended or lost, len(frames) - 1, first))
                frames.append(pictures[0, 0].copy())
                over = ended or cut_off or len(steps) == most
            if not over:
                (frame,), (lives,) = game.next_life(env)
        if len(steps) == most:
            break
    columns = zip(*steps, strict=True)
    return np.stack(frames), {name: np.array(column, kind) for (name, kind), column in zip(TYPES.items(), columns, strict=True)}


def collect(folder, seeds, transitions=game.SEAQUEST.dataset_size, progress=True):
    """Collect random play with each seed and return it as a `FrameDataset`.

    folder: where `seaquest-SEED-TRANSITIONS.nc` and `.frames` (7 kB per step) are written. A finished pair of files is
    loaded; an unfinished one is continued. transitions: agent steps, of 4 emulator frames each. Raises ValueError naming
    a bad argument, and the errors of `load`.
    """
    seeds, transitions = check_seeds(seeds).tolist(), positive_integer("transitions", transitions)
    clear_locks(as_path("folder", folder))
    return FrameDataset(tuple(collect_seed(folder, seed, transitions, progress) for seed in seeds))


def collect_seed(folder, seed, transitions, progress):
    """Collect the `Frames` of one seed, or wait for another run that is collecting them."""
    path = as_path("folder", folder) / f"seaquest-{seed}-{transitions}.nc"
    if not index_of(path, seed, transitions).attrs["frames_sha256"]:
        with locked("folder", path, wait=True):
            play(path, index_of(path, seed, transitions), progress)
    return load(path)


def index_of(path, seed, transitions):
    """Read the index file, or start an empty one. Raises ValueError if it belongs to another collection."""
    index = read_index(path) if path.exists() else empty_index(seed, transitions)
    for name, wanted in (("seed", seed), ("transitions", transitions)):
        if index.attrs[name] != wanted:
            raise ValueError(f"path={str(path)!r} holds frames of {name} {index.attrs[name]}, not {wanted}: it was renamed")
    return index


def play(path, index, progress):
    """Continue a collection from its index until it is complete."""
    if index.attrs["frames_sha256"]:
        return
    frames_path, seed, transitions = path.with_suffix(".frames"), index.attrs["seed"], index.attrs["transitions"]
    frames_path.touch()
    check_length(frames_path, index)
    env = game.make(1)
    hidden = not progress or bool(os.environ.get("TQDM_DISABLE"))
    with tqdm(total=transitions, unit="step", desc=f"seed {seed}", delay=3, disable=hidden) as bar:
        bar.update(index.sizes["transition"])
        with open(frames_path, "r+b") as file:
            while index.sizes["transition"] < transitions:
                missing = transitions - index.sizes["transition"]
                index = append(file, index, *play_block(env, seed, index.attrs["blocks"], missing))
                records.save(index, path)
                bar.update(index.sizes["transition"] - bar.n)
    env.close()
    origin = json.dumps(records.provenance() | {"ale_py": version("ale-py")})
    records.save(index.assign_attrs(frames_sha256=frames_checksum(frames_path), provenance=origin), path)


def append(file, index, frames, columns):
    """Append one block after the frames that the index records, and return the extended index."""
    known = index.attrs["frames"]
    file.truncate(known * FRAME_BYTES)  # drops frames that a killed collection wrote but did not record
    file.seek(known * FRAME_BYTES)
    file.write(frames.tobytes())
    file.flush()
    os.fsync(file.fileno())
    columns = columns | {name: columns[name] + np.int32(known) for name in ("rows", "first_rows")}
    block = xarray.Dataset({name: ("transition", values) for name, values in columns.items()})
    joined = xarray.concat([index, block], "transition", combine_attrs="drop")
    return joined.assign_attrs(index.attrs | {"blocks": index.attrs["blocks"] + 1, "frames": known + len(frames)})


def empty_index(seed, transitions):
    """Return an index without transitions."""
    columns = {name: ("transition", np.empty(0, kind)) for name, kind in TYPES.items()}
    attrs = dict(kind=KIND, seed=seed, transitions=transitions, blocks=0, frames=0, frames_sha256="", provenance="")
    return xarray.Dataset(columns, attrs=attrs)


def read_index(path):
    """Read an index file. Raises ValueError if it is damaged or something else."""
    index = records.load(path)
    if index.attrs.get("kind") != KIND:
        raise ValueError(f"path={str(path)!r} holds no Seaquest frames but a {index.attrs.get('kind', 'file of another kind')}")
    return index


def check_length(frames_path, index):
    """Raise ValueError unless all frames that an index records are there."""
    there = frames_path.stat().st_size // FRAME_BYTES
    if there < index.attrs["frames"]:
        raise ValueError(
            f"path={str(frames_path)!r} is truncated or missing, with {there} frames of {index.attrs['frames']}: "
            "delete it and the .nc file beside it, then collect again"
        )


def frames_checksum(frames_path):
    """Return the SHA-256 of the frames in hexadecimal."""
    with open(frames_path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(path):
    """Load the `Frames` of a finished collection from the path of its `.nc` file.

    Raises FileNotFoundError, or ValueError naming a file that is unfinished, truncated or damaged.
    """
    index = read_index(path)
    frames_path = as_path("path", path).with_suffix(".frames")
    if not index.attrs["frames_sha256"]:
        raise ValueError(f"path={str(path)!r} is unfinished: call collect to go on with it")
    if not frames_path.exists() or frames_checksum(frames_path) != index.attrs["frames_sha256"]:
        raise ValueError(
            f"path={str(frames_path)!r} is missing, truncated or damaged, by the checksum in the .nc file "
            "beside it: delete both, then collect again"
        )
    columns = {name: index[name].values for name in TYPES}
    frames = np.memmap(frames_path, np.uint8, "c").reshape(-1, SIDE, SIDE)  # copy on write, so that torch takes it
    provenance = json.loads(index.attrs["provenance"])
    digest = records.digest(index.assign_attrs(provenance=""))
    return Frames(frames, **columns, seed=int(index.attrs["seed"]), provenance=provenance, digest=digest)
