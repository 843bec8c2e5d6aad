"""Promise: Seaquest's stacks are those of Gymnasium's wrappers; data are made to the byte, and checked when read."""

import os
import signal
import subprocess
import sys
import time

import gymnasium_seaquest
import numpy as np
import pytest

from hanq.atari import frames, game
from hanq.atari.frames import GAMES, collect, load
from hanq.data.foundations.generator import GAME, integer

SIZE = 4_000  # more than one block of games, with an end within a life


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("frames")
    collect(path, [3], SIZE, progress=False)
    return path


@pytest.fixture(scope="module")
def data(folder):
    return collect(folder, [3], SIZE).members[0]


def copy_of(folder, path):
    for name in (f"seaquest-3-{SIZE}.nc", f"seaquest-3-{SIZE}.frames"):
        (path / name).write_bytes((folder / name).read_bytes())
    return path / f"seaquest-3-{SIZE}.nc"


def no_ops(seed, block):
    """With how many no-ops each game of a block begins."""
    env, counts = game.make(1), []
    for number in range(GAMES):
        seeds = np.array([integer(2**31, seed, GAME, block, 0)]) if number == 0 else None
        counts.append(int(env.reset(seed=seeds)[1]["episode_frame_number"][0]))
    env.close()
    return counts


def assert_equal_but_for_rounding(ours, theirs):
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= 1 and np.mean(difference > 0) < 0.01


def test_every_stack_reward_and_ending_is_that_of_gymnasiums_wrappers(data, monkeypatch):
    """On the same actions and no-ops, across lives and games. OpenCV rounds some pixels the other way."""
    gymnasium_seaquest.stand_in_for_opencv(monkeypatch)
    counts = no_ops(3, 0)
    assert len(set(counts)) > 3 and max(counts) < 30
    env = gymnasium_seaquest.make(counts)
    observation, _ = env.reset()
    endings = 0
    for t in range(2_000):
        assert_equal_but_for_rounding(data.observations(t), observation)
        observation, reward, ended, truncated, _ = env.step(int(data.actions[t]))
        assert (data.rewards[t], data.terminated[t], False) == (reward, ended, truncated)
        assert_equal_but_for_rounding(data.next_observations(t), observation)
        endings += ended
        if ended:
            observation, _ = env.reset()
    assert endings > 8  # lives, and two games at least
    assert np.any(data.rewards[:2_000] == 1)


def test_no_stack_reaches_across_an_ending(data):
    ends = np.flatnonzero(data.terminated[:-1])
    assert len(ends) > 20
    for end in ends:
        begun = data.observations(end + 1)
        assert (begun == begun[-1]).all()  # the first frame four times
        second = data.observations(end + 2)
        assert (second[:3] == begun[-1]).all() and not (second[3] == begun[-1]).all()
        assert not (data.next_observations(end)[-1] == begun[-1]).all()  # the old episode's own last frame
        assert (data.next_observations(end)[:-1] == data.observations(end)[1:]).all()


def test_within_an_episode_the_next_observation_is_the_next_steps_observation(data):
    steps = np.flatnonzero(~data.terminated[:-1])
    assert (data.next_observations(steps[:300]) == data.observations(steps[:300] + 1)).all()


def test_each_frame_is_stored_once(data):
    episodes = len(np.unique(data.first_rows))
    assert len(data.frames) == SIZE + episodes
    assert data.frames.dtype == np.uint8 and isinstance(data.frames.base, np.memmap)
    assert np.array_equal(np.unique(np.concatenate([data.rows, data.rows + 1])), np.arange(len(data.frames)))


def test_play_is_uniformly_random_over_all_18_actions_and_rewards_are_signs(data):
    shares = np.bincount(data.actions, minlength=18) / SIZE
    assert len(shares) == 18 and np.abs(shares - 1 / 18).max() < 4 * np.sqrt(1 / 18 / SIZE)
    assert set(np.unique(data.rewards)) <= {0, 1}


def test_a_seeds_play_is_its_own_whoever_else_is_collected_and_a_longer_one_begins_with_a_shorter(data, tmp_path):
    together = collect(tmp_path, [4, 3], 500)
    assert together.seeds.tolist() == [4, 3] and together.size == 500
    other, shorter = together.members
    assert not np.array_equal(other.actions, shorter.actions) and other.digest != shorter.digest
    assert (shorter.frames == data.frames[: len(shorter.frames)]).all()
    for name in ("actions", "rewards", "terminated", "rows", "first_rows"):
        assert np.array_equal(getattr(shorter, name), getattr(data, name)[:500])


KILLED = "import sys; from hanq.atari.frames import collect; collect(sys.argv[1], [3], int(sys.argv[2]), progress=False)"


def test_a_killed_collection_goes_on_to_the_same_bytes(folder, data, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path, str(SIZE)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=os.path.dirname(os.path.dirname(frames.__file__)) + "/..",
    )
    index, pictures = (tmp_path / f"seaquest-3-{SIZE}{ending}" for ending in (".nc", ".frames"))
    try:
        while not index.exists():  # the first block is there
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with pytest.raises(ValueError, match="unfinished"):
        load(index)
    with open(pictures, "ab") as file:
        file.write(b"some of a block that nobody recorded")
    (resumed,) = collect(tmp_path, [3], SIZE).members
    assert resumed.digest == data.digest
    assert pictures.read_bytes() == (folder / pictures.name).read_bytes()


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_frames_that_are_not_what_was_written_are_refused_by_name(folder, tmp_path, damage):
    path = copy_of(folder, tmp_path)
    pictures = path.with_suffix(".frames")
    if damage == "truncated":
        os.truncate(pictures, pictures.stat().st_size - 1)
    elif damage == "changed":
        with open(pictures, "r+b") as file:
            file.seek(70_000)
            file.write(b"\xff\x01\xff\x01")
    else:
        pictures.unlink()
    with pytest.raises(ValueError, match=pictures.name):
        load(path)
    with pytest.raises(ValueError, match=pictures.name):
        collect(tmp_path, [3], SIZE)


def test_an_unfinished_collection_that_lost_frames_is_refused_by_name(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(frames, "frames_checksum", stop)
        collect(tmp_path, [3], 100)
    os.truncate(tmp_path / "seaquest-3-100.frames", 7_056)
    with pytest.raises(ValueError, match="seaquest-3-100.frames.*truncated"):
        collect(tmp_path, [3], 100)


def test_a_damaged_index_is_refused_by_name(folder, tmp_path):
    path = copy_of(folder, tmp_path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ValueError, match=path.name):
        load(path)


def test_renamed_files_are_refused(folder, tmp_path):
    path = copy_of(folder, tmp_path)
    for kind in (".nc", ".frames"):
        path.with_suffix(kind).rename(tmp_path / f"seaquest-5-{SIZE}{kind}")
    with pytest.raises(ValueError, match="seaquest-5-.* holds frames of seed 3, not 5"):
        collect(tmp_path, [5], SIZE)


def test_the_file_says_where_it_comes_from(data):
    assert {"command", "commit", "versions", "machine", "date", "ale_py"} <= set(data.provenance)


@pytest.mark.parametrize(
    ("seeds", "transitions", "named"), [([-1], 10, "seeds"), ([1, 1], 10, "seeds"), ([0], 0, "transitions"), ([0], 1.5, "transitions")]
)
def test_a_bad_argument_is_refused_by_name(tmp_path, seeds, transitions, named):
    with pytest.raises(ValueError, match=named):
        collect(tmp_path, seeds, transitions)
