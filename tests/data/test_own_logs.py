"""Promise: arrays as people have them are taken for what they are; what is seldom meant is said."""

import warnings

import gymnasium
import numpy as np
import pandas
import pytest
import torch
from helpers import logged
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_environments import Numbered, Walk, make_walk

import hanq
from hanq.data.dataset import DIMS

ROWS = ("actions", "rewards", "terminated")


def walk(steps=300, length=7):
    """A log of one environment, row after row: its arrays, and where episodes were cut off."""
    data = hanq.collect(lambda: gymnasium.wrappers.TimeLimit(Walk(goal=9), length), [0], size=steps)
    arrays = {name: getattr(data, name)[0] for name in DIMS}
    return arrays, (arrays["next_observations"][:, 1] == length) & ~arrays["terminated"]


@pytest.mark.parametrize("seeds", [None, 2])
def test_columns_of_a_table_are_rows_of_numbers(seeds):
    plain = logged(seeds=seeds)
    columns = plain | {name: np.asarray(plain[name])[..., None] for name in ROWS}
    assert hanq.Dataset.from_arrays(**columns).digest == hanq.Dataset.from_arrays(**plain).digest


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.integers(0, 3), max_size=3), st.sampled_from(ROWS))
def test_any_other_shape_is_named_in_the_users_own_terms(shape, name):
    arrays = logged(size=2) | {name: np.zeros(shape)}
    if tuple(shape) in ((2,), (2, 1)):
        return
    with pytest.raises(ValueError, match=r"(has shape|are? of shape|as images have)") as refused:
        hanq.Dataset.from_arrays(**arrays, action_count=2)
    assert str(tuple(shape)) in str(refused.value)


def test_many_datasets_of_few_transitions_are_said():
    chance = np.random.default_rng(0)
    steps = dict(
        observations=chance.normal(size=(500, 2, 4)),
        actions=np.arange(1000).reshape(500, 2) % 2,
        rewards=np.zeros((500, 2)),
        next_observations=chance.normal(size=(500, 2, 4)),
        terminated=np.zeros((500, 2)),
    )
    with pytest.warns(UserWarning, match="taken for 500 datasets of 2 transitions each: for 500 steps of 2 .*from_vector"):
        hanq.Dataset.from_arrays(**steps)


def test_next_observations_of_the_next_episode_are_said():
    arrays, cut = walk()
    shifted = {name: values[:-1] for name, values in arrays.items()} | dict(next_observations=arrays["observations"][1:])
    ends = int((cut | arrays["terminated"])[:-2].sum())
    with pytest.warns(UserWarning, match=f"next_observations holds the first observation of the next episode in {ends} rows"):
        hanq.Dataset.from_arrays(**shifted, truncated=cut[:-1])
    ends = int(arrays["terminated"][:-2].sum())
    with pytest.warns(UserWarning, match=f"in {ends} rows, wherever an episode ended"):
        hanq.Dataset.from_arrays(**shifted)


def test_an_end_that_is_not_marked_is_said_with_its_place():
    arrays, cut = walk()
    first = int(np.flatnonzero(cut)[0])
    with pytest.warns(UserWarning, match=f"in {cut[:-1].sum()} of 299 rows .* no end is marked, first in row {first}"):
        hanq.Dataset.from_arrays(**arrays)
    hanq.Dataset.from_arrays(**arrays, truncated=cut)  # warnings are errors here
    order = np.random.default_rng(0).permutation(300)
    hanq.Dataset.from_arrays(**{name: values[order] for name, values in arrays.items()})


def test_a_time_limit_passed_as_an_end_is_taken_for_one_and_the_docstring_warns_of_it():
    """Round and round four states at a reward of 1, cut off every fifth step: worth 1 / (1 - 0.9), and by that mistake far less."""
    step = np.random.default_rng(0).permutation(400)
    following, cut_off = np.eye(4)[(step + 1) % 4], step % 5 == 4
    log = dict(observations=np.eye(4)[step % 4], actions=step // 4 % 2, rewards=np.ones(400), next_observations=following)
    settings = dict(learning_rate=3e-3, target_rate=0.1, discount=0.9, gradient_steps=2_000, eval_every=2_000, progress=False)
    values = []
    for terminated in (np.zeros(400), cut_off):
        with pytest.warns(UserWarning, match="names no environment"):
            run = hanq.train(hanq.DQN, hanq.Dataset.from_arrays(**log, terminated=terminated), **settings)
        values.append(run.policy()(np.eye(4)).max(-1).values.mean().item())
    np.testing.assert_allclose(values, [1 / (1 - 0.9), 1 / (1 - 0.9 * 4 / 5)], rtol=0.1)
    assert "Do not pass time limits here" in hanq.Dataset.from_arrays.__doc__


def test_actions_that_were_never_logged_are_named():
    for actions, named in (([1, 2, 3] * 2, r"\[0\] of 4"), ([0, 40] * 3, r"\[1, 2, 3, .*\] and 29 more of 41")):
        with pytest.warns(UserWarning, match=f"actions never logged: {named}"):
            hanq.Dataset.from_arrays(**logged() | dict(actions=actions))


LABELS = {
    "from 1": ([1, 2, 3, 3, 2, 1], [1, 2, 3]),
    "with gaps": ([40, 7, 7, 7, 40, 40], [7, 40]),
    "negative": ([-1, 0, 1, 1, 1, 1], [-1, 0, 1]),
    "texts": (["up", "down", "up", "up", "down", "up"], ["down", "up"]),
    "texts of pandas": (pandas.Series(["b", "a"] * 3, dtype="category"), ["b", "a"]),
    "objects": (np.array(["b", "a"] * 3, object), ["a", "b"]),
    "tensor": (torch.tensor([5.0, 6.0] * 3), [5, 6]),
    "column": ([["a"], ["b"]] * 3, ["a", "b"]),
}


@pytest.mark.parametrize(("actions", "labels"), LABELS.values(), ids=LABELS.keys())
def test_labels_are_kept_and_given_back(tmp_path, actions, labels):
    data = hanq.Dataset.from_arrays(**logged() | dict(actions=actions), action_labels=labels)
    assert data.action_count == len(labels) and data.action_labels == tuple(labels)
    given_ones = np.array([str(one) for one in np.asarray(actions).ravel().tolist()])
    back = np.array([str(labels[place]) for place in data.actions[0]])
    assert [one.removesuffix(".0") for one in given_ones] == back.tolist()
    data.save(tmp_path / "data.nc")
    loaded = hanq.load_dataset(tmp_path / "data.nc")
    assert loaded.action_labels == data.action_labels and loaded.digest == data.digest
    with pytest.warns(UserWarning, match="names no environment"):
        run = hanq.train(hanq.DQN, loaded, learning_rate=1e-2, gradient_steps=1, engine="torch")
    run.save(tmp_path / "run.nc")
    policy = hanq.load_run(tmp_path / "run.nc").policy()
    assert policy.act(data.observations[0, 0]) in labels
    seen = policy.act(data.observations[0])
    assert seen.tolist() == [labels[place] for place in policy(data.observations[0]).argmax(-1)]


def test_labels_in_episodes_and_tables():
    one = dict(observations=np.eye(4), actions=["b", "a", "b"], rewards=[0, 0, 1], terminated=True)
    data = hanq.Dataset.from_episodes([one], actions=["a", "b"])
    assert data.actions.tolist() == [[1, 0, 1]] and data.action_labels == ("a", "b")
    table = pandas.DataFrame({"x": [0, 1, 2], "a": ["b", "a", "b"], "r": [0, 0, 1], "e": 7, "t": [0, 0, 1]})
    data = hanq.Dataset.from_frame(table, ["x"], "a", "r", "e", "t", actions=["a", "b"])
    assert data.actions.tolist() == [[1, 0, 1]]


BAD_LABELS = {
    "no list": (dict(action_labels=3), "labels of the actions, 3, are no list"),
    "text": (dict(action_labels="ab"), "labels of the actions, 'ab', are not allowed"),
    "both kinds": (dict(action_labels=[0, "a"]), "are not allowed: use a list of distinct integers, or of distinct texts"),
    "twice": (dict(action_labels=[0, 1, 1, 2]), "are not allowed"),
    "none": (dict(action_labels=[]), "are not allowed"),
    "fractions": (dict(action_labels=[0.0, 1.0, 2.0]), "are not allowed"),
    "unknown action": (dict(action_labels=[0, 1]), r"actions holds 2 at index \(2,\): use one of the labels \[0, 1\]"),
    "unknown text": (dict(actions=["a", "b"] * 3, action_labels=["a"]), r"actions holds 'b' at index \(1,\): use one of the labels"),
    "texts without labels": (dict(actions=["a", "b"] * 3), r"actions holds texts: .* a list of labels, such as \['a', 'b'\]"),
    "other count": (dict(action_count=4, action_labels=[0, 1, 2]), "action_count=4 contradicts the labels, of 3 actions"),
    "environment": (dict(action_labels=[0, 1, 2], environment="CartPole"), "observations has obs_dim 3: CartPole needs 4"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_LABELS.values(), ids=BAD_LABELS.keys())
def test_labels_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        hanq.Dataset.from_arrays(**logged() | changes)


@pytest.mark.parametrize("shape", [(50, 8, 8), (50, 8, 8, 3), (50, 1, 8, 8)])
def test_images_are_refused_as_images(shape):
    arrays = logged(size=50) | dict(observations=np.zeros(shape), next_observations=np.zeros(shape))
    with pytest.raises(ValueError, match=r"observations has shape \(50, .*\), as images have: hanq.atari trains on frames"):
        hanq.Dataset.from_arrays(**arrays)


def test_numbered_states_become_one_hot_or_are_told_how():
    states = np.array([0, 3, 7, 1, 0, 2])
    arrays = logged() | dict(observations=states, next_observations=states)
    with pytest.raises(ValueError, match=r"Of numbered states make one-hot rows, np.eye\(count\)\[observations\]"):
        hanq.Dataset.from_arrays(**arrays)
    for shape in ((6,), (6, 1)):
        given_arrays = arrays | dict(observations=states.reshape(shape), next_observations=states.reshape(shape))
        data = hanq.Dataset.from_arrays(**given_arrays, environment=Numbered)
        np.testing.assert_array_equal(data.observations[0], np.eye(8)[states])
    with pytest.raises(ValueError, match=r"observations holds 8 at index \(2,\): use states from 0 to 7"):
        hanq.Dataset.from_arrays(**arrays | dict(observations=np.where(states == 7, 8, states)), environment=Numbered)


def test_a_function_is_not_saved_and_that_is_said(tmp_path):
    data = hanq.collect(make_walk, [0], size=20)
    with pytest.warns(UserWarning, match="environment=odd_environments.make_walk is a function, which no file holds"):
        data.save(tmp_path / "data.nc")
    assert hanq.load_dataset(tmp_path / "data.nc").environment is None


def test_an_environment_whose_actions_start_elsewhere_has_them_as_labels():
    data = hanq.collect(lambda: Walk(start=1), [0], size=50)
    assert data.action_labels == (1, 2, 3) and set(data.actions.ravel()) == {0, 1, 2}
    np.testing.assert_array_equal(data.next_observations[0, :, 0], data.observations[0, :, 0] + data.actions[0] + 1)


def test_memory_maps_are_read_and_left_as_they_are(tmp_path):
    plain, mapped = logged(), {}
    for name, values in plain.items():
        np.save(tmp_path / f"{name}.npy", np.asarray(values))
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert hanq.Dataset.from_arrays(**mapped).digest == hanq.Dataset.from_arrays(**plain).digest


LONG_COLUMNS = dict(x=[0.0, 1.0, 2.0], a=[0, 1, 0], r=[1.0, 2.0, 3.0], e=[0, 0, 0], done=[False, False, True], cut=[False] * 3)
NAMED = dict(observations="x", action="a", reward="r", terminated="done")


@pytest.mark.parametrize("change", [1, -1])
@pytest.mark.parametrize("name", ["a", "r", "e", "done", "cut"])
def test_columns_of_a_table_that_differ_in_length_are_refused_by_name(name, change):
    table = LONG_COLUMNS | {name: LONG_COLUMNS[name] * 2 if change > 0 else LONG_COLUMNS[name][:change]}
    with pytest.raises(ValueError, match=f"^column '{name}' has {len(table[name])} rows, where column 'x' has 3: use one for each step"):
        hanq.Dataset.from_frame(table, **NAMED, episode="e", truncated="cut")


def test_a_masked_name_of_an_episode_is_refused_like_a_missing_one():
    table = LONG_COLUMNS | dict(e=np.ma.array([0, 0, 0], mask=[False, True, False]))
    with pytest.raises(ValueError, match=r"^column 'e' is masked at index \(1,\)"):
        hanq.Dataset.from_frame(table, **NAMED, episode="e")


def test_a_missing_value_among_texts_is_what_is_named():
    arrays = logged(size=3) | dict(actions=["l", None, "u"])
    with pytest.raises(ValueError, match=r"^actions holds None at index \(1,\): use texts throughout"):
        hanq.Dataset.from_arrays(**arrays, action_labels=["l", "r", "u"])


def test_labels_need_an_order():
    with pytest.raises(ValueError, match="the labels of the actions, .* are not allowed: use a list"):
        hanq.Dataset.from_arrays(**logged(size=3) | dict(actions=["l", "r", "l"]), action_labels={"l", "r"})


def test_several_datasets_at_once_need_their_next_observations():
    arrays = logged(size=4, seeds=2) | dict(next_observations=None)
    with pytest.raises(ValueError, match="^next_observations=None is for a single dataset"):
        hanq.Dataset.from_arrays(**arrays, truncated=np.zeros((2, 4)))


def test_an_episode_of_a_single_number_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^episodes\[0\] has observations of shape \(\)"):
        hanq.Dataset.from_episodes([dict(observations=5.0, actions=[0], rewards=[1.0], terminated=True)])
