"""MinAtar's games are played as the package plays them, and a collection that was killed goes on."""

import gymnasium
import numpy as np
import pytest

import hanq
from hanq.data import collection, minatar, simulators
from hanq.data.foundations.generator import BEHAVIOUR, integer
from hanq.data.returns import ends

SIZE = 300


@pytest.mark.parametrize("name", minatar.GAMES)
def test_data_are_the_packages_own_screens_rewards_and_ends(name):
    data = hanq.collect(name, [5], size=SIZE)
    own = gymnasium.make(name, sticky_action_prob=0.1, difficulty_ramping=True, disable_env_checker=True).unwrapped
    assert (data.screen[0], data.action_count) == (own.observation_space.shape[-1], own.action_space.n)
    seen, _ = own.reset(seed=5)
    for i in range(SIZE):
        np.testing.assert_array_equal(data.screens_at(i)[0], np.moveaxis(seen, -1, 0))
        assert data.actions[0, i] == integer(data.action_count, 5, BEHAVIOUR, 0, i)
        seen, reward, over, _, _ = own.step(int(data.actions[0, i]))
        np.testing.assert_array_equal(data.screens_at(i, following=True)[0], np.moveaxis(seen, -1, 0))
        assert data.rewards[0, i] == reward and data.terminated[0, i] == over
        if over:
            own.game.last_action = 0
            seen, _ = own.reset()
    assert data.provenance["sticky_actions"] == 0.1 and data.provenance["difficulty_ramping"] is True
    assert data.provenance["episode_length"] == 2_500 and data.provenance["minatar"]


def test_a_game_does_not_depend_on_the_one_before():
    def played(env):
        screens = [env.reset(seed=3)[0]]
        for i in range(60):
            screens.append(env.step(i % 6)[0])
        return np.array(screens)

    simulator = simulators.find("MinAtar/Seaquest")
    with simulator.make() as fresh, simulator.make() as used:
        used.reset(seed=9)
        for _ in range(30):
            used.step(5)
        np.testing.assert_array_equal(played(fresh), played(used))


def test_a_game_is_cut_off_without_being_terminated():
    data = hanq.collect("MinAtar/Freeway-v1", [0], size=100, episode_length=40)
    assert np.flatnonzero(ends(data)[0]).tolist() == [39, 79, 99] and not data.terminated.any()


def test_unknown_games_are_refused_by_name():
    for name in ("MinAtar/Pong-v1", "MinAtar/Seaquest-v0", "MinAtar/"):
        with pytest.raises(ValueError, match=f"environment='{name}' is no game of MinAtar: use one of .'MinAtar/Seaquest-v1'"):
            hanq.collect(name, [0])


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(minatar, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="environment='MinAtar/Seaquest-v1' needs a package that is not installed: pip install MinAtar=="):
        hanq.collect("MinAtar/Seaquest", [0])


def test_a_collection_that_was_killed_goes_on(tmp_path, monkeypatch):
    whole = hanq.collect("MinAtar/Asterix", [0, 1, 2], size=SIZE)
    collect_one, played = collection._collect_one, []

    def killed_at_1(simulator, seed, *rest):
        played.append(seed)
        if played == [0, 1]:
            raise KeyboardInterrupt
        collect_one(simulator, seed, *rest)

    monkeypatch.setattr(collection, "_collect_one", killed_at_1)
    with pytest.raises(KeyboardInterrupt):
        hanq.collect("MinAtar/Asterix", [0, 1, 2], size=SIZE, folder=tmp_path)
    again = hanq.collect("MinAtar/Asterix", [0, 1, 2], size=SIZE, folder=tmp_path)
    assert played == [0, 1, 1, 2]
    assert again.digest == whole.digest and again.environment == "MinAtar/Asterix-v1"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"MinAtar-Asterix-v1-{seed}-{SIZE}.nc" for seed in range(3)]


def test_kept_data_of_another_collection_are_refused(tmp_path):
    hanq.collect("MinAtar/Asterix-v1", [0], size=SIZE, folder=tmp_path)
    with pytest.raises(ValueError, match="holds episode_length=2500 where episode_length=10 is asked for"):
        hanq.collect("MinAtar/Asterix-v1", [0], size=SIZE, episode_length=10, folder=tmp_path)
    (tmp_path / f"MinAtar-Asterix-v1-0-{SIZE}.nc").rename(tmp_path / f"MinAtar-Asterix-v1-1-{SIZE}.nc")
    with pytest.raises(ValueError, match=r"holds seeds=\[0\] where seeds=\[1\] is asked for"):
        hanq.collect("MinAtar/Asterix-v1", [1], size=SIZE, folder=tmp_path)


def test_a_damaged_file_is_refused_and_not_collected_again(tmp_path):
    hanq.collect("MinAtar/Asterix-v1", [0], size=SIZE, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="truncated or damaged|does not match its own checksum"):
        hanq.collect("MinAtar/Asterix-v1", [0], size=SIZE, folder=tmp_path)


def test_other_environments_are_kept_too_and_functions_are_not(tmp_path):
    first = hanq.collect("Pendulum", [0, 1], size=50, folder=tmp_path)
    assert (
        hanq.collect("Pendulum", [0, 1], size=50, folder=tmp_path).digest
        == first.digest
        == hanq.collect("Pendulum", [0, 1], size=50).digest
    )
    with pytest.raises(ValueError, match="folder=.* needs an environment given by name"):
        hanq.collect(lambda: gymnasium.make("CartPole-v1"), [0], size=10, folder=tmp_path)
