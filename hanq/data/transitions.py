"""Checks a user's arrays of transitions: shapes, values, actions, and whether consecutive rows fit together."""

from dataclasses import replace

import numpy as np

from hanq.data.foundations.arguments import array, check_seeds, lost_digits, positive_integer, shown, unwrapped, warn

DIMS = {
    "observations": ("seed", "transition", "observation"),
    "actions": ("seed", "transition"),
    "rewards": ("seed", "transition"),
    "next_observations": ("seed", "transition", "observation"),
    "terminated": ("seed", "transition"),
}
TYPES = {"observations": "float32", "actions": "int64", "rewards": "float32", "next_observations": "float32", "terminated": "bool"}
MOST_ACTIONS = 2**24  # the fused engine stores actions in float32
MOST_NAMED = 10  # the most actions that a message names
FEWEST_ROWS = 10  # the fewest rows for which a warning about their order is given


def checked(kind, value, name=None):
    """Check a user's values of one kind, a key of `TYPES`. Raises ValueError naming the first value that is not allowed.

    name: the user's name for them, by default the kind.
    """
    name = name or kind
    found = array(name, value)
    limit = np.finfo(np.float32).max if TYPES[kind] == "float32" else np.inf
    bad = ~np.isfinite(found) | (np.abs(found.astype(np.float64)) > limit)
    refuse(name, found, bad, "finite numbers, in float32's range")
    if kind == "actions" and found.dtype.kind == "f":
        refuse(name, found, found != np.floor(found), "integers from 0")
    if kind == "terminated":
        refuse(name, found, ~np.isin(found, (0, 1)), "booleans, or 0 and 1")
    return found


def refuse(name, values, bad, allowed):
    """Raise ValueError naming the first value for which `bad` is true, if there is one."""
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        value = values[where]
        value = value.item() if isinstance(value, np.generic) else value
        raise ValueError(f"{name} holds {shown(value)} at index {where}: use {allowed}")


def column(values, dims):
    """Drop a last axis of length 1 if `dims` axes remain."""
    return values[..., 0] if values.ndim == dims + 1 and values.shape[-1] == 1 else values


def shaped(arrays):
    """Return the arrays with a leading axis of seeds. Raises ValueError if their shapes do not fit together."""
    observations = arrays["observations"]
    shape, dims = observations.shape, observations.ndim
    if dims > 3 or (dims == 3 and arrays["actions"].shape != shape[:2] and column(arrays["actions"], 1).ndim == 1):
        raise ValueError(
            f"observations has shape {shape}, as images have: hanq.atari trains on frames; "
            f"small images may be used as rows of numbers, observations.reshape({shape[0]}, -1)"
        )
    if dims == 1:
        raise ValueError(
            f"observations has shape {shape}: use (size, obs_dim). Of numbered states make one-hot rows, "
            "np.eye(count)[observations]; of single measurements a column, observations[:, None]"
        )
    if dims not in (2, 3) or 0 in shape:
        raise ValueError(f"observations has shape {shape}: use (size, obs_dim) or (seeds, size, obs_dim), none of them 0")
    for name, value in arrays.items():
        expected = shape if name.endswith("observations") else shape[:-1]
        if value.shape == (*expected, 1) and expected != shape:
            arrays[name] = value = value[..., 0]
        if value.shape != expected:
            raise ValueError(f"{name} has shape {value.shape}: observations of shape {shape} need {expected}")
    return arrays if dims == 3 else {name: value[None] for name, value in arrays.items()}


def check_labels(labels):
    """Return action labels as a tuple. Raises ValueError unless they are distinct integers or distinct strings."""
    allowed = "use a list of distinct integers, or of distinct texts, one for each action"
    try:
        found = tuple(one.item() if isinstance(one, np.generic) else one for one in labels)
    except TypeError as error:
        raise ValueError(f"the labels of the actions, {shown(labels)}, are no list: {allowed}") from error
    kinds = {type(one) for one in found}
    if (
        isinstance(labels, str | set | frozenset)
        or kinds not in ({int}, {str})
        or len(set(found)) < len(found)
        or len(found) > MOST_ACTIONS
    ):
        raise ValueError(f"the labels of the actions, {shown(labels)}, are not allowed: {allowed}")
    return found


def actions_of(name, actions):
    """A user's actions as an array of texts, or else of finite whole numbers."""
    actions = unwrapped(name, actions)
    try:
        given = np.asarray(actions, object) if isinstance(actions, list | tuple) else np.asarray(actions)
    except Exception:  # other libraries' arrays raise what they like
        return checked("actions", actions, name)  # which says what is wrong
    if given.dtype.kind in "UOT" and given.size > 0:
        text = np.array([isinstance(one, str) for one in given.ravel()]).reshape(given.shape)
        if text.mean() > 0.5:
            refuse(name, given, ~text, "texts throughout, as elsewhere in it")
            return given.astype(str)
    return checked("actions", actions, name)


def numbered(name, actions, labels):
    """Convert actions to their positions among the labels, or, without labels, check that they are integers."""
    given = actions_of(name, actions)
    if labels is None:
        if given.dtype.kind == "U":
            seen = shown(np.unique(given).tolist())
            raise ValueError(f"{name} holds texts: use integers from 0, or say which actions there are by a list of labels, such as {seen}")
        return given
    values, places = np.unique(given, return_inverse=True)
    known = {label: position for position, label in enumerate(labels)}
    positions = np.array([known.get(value, -1) for value in values.tolist()], np.int64)[places].reshape(given.shape)
    refuse(name, given, positions < 0, f"one of the labels {shown(list(labels))}")
    return positions


def count_actions(actions, action_count, labels, environment=None):
    """Determine the number of actions and check that every logged one is among them. environment: has `name` and `actions`."""
    if action_count is not None:
        action_count = positive_integer("action_count", action_count, MOST_ACTIONS + 1)
    stated = len(labels) if labels is not None else environment and environment.actions
    if stated is not None and action_count not in (None, stated):
        whose = "the labels" if labels is not None else environment.name
        raise ValueError(f"action_count={action_count} contradicts {whose}, of {stated} actions: leave it out")
    least, largest = int(actions.min()), int(actions.max())
    count = stated or action_count or min(max(0, largest) + 1, MOST_ACTIONS)
    if least < 0 or largest >= count:
        raise ValueError(f"actions holds {shown(least if least < 0 else largest)}: use integers from 0 to {count - 1}")
    return count


def say_unseen(actions, count, labels):
    """Warn of actions that are missing from one of the datasets. actions: (seeds, size), integers below `count`."""
    seen = np.ones(count, bool)
    for one in actions.astype(np.int64):
        seen &= np.bincount(one, minlength=count) > 0
    missing = np.flatnonzero(~seen)
    if len(missing) == 0:
        return
    names = [labels[i] if labels else int(i) for i in missing[:MOST_NAMED]]
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    where = ", in one of the datasets" if len(actions) > 1 else ""
    warn(
        f"actions never logged: {shown(names)}{more} of {count}{where}. Nothing is learned of them, and a greedy policy may choose them: "
        "to leave them out, give a list of labels with the logged actions only"
    )


def one_hot(arrays, states, first):
    """Convert observations that are states numbered from `first` to one-hot vectors; other observations stay as they are."""
    names = [name for name in ("observations", "next_observations") if arrays[name].shape == arrays["observations"].shape]
    single = arrays["observations"].ndim == 1 or (arrays["observations"].ndim == 2 and arrays["observations"].shape[1] == 1)
    if not single or len(names) < 2:
        return arrays
    found = {name: column(arrays[name], 1) for name in names}
    for name, value in found.items():
        refuse(name, value, ~np.isin(value, first + np.arange(states)), f"states from {first} to {first + states - 1}")
    return arrays | {name: np.eye(states, dtype=np.float32)[value.astype(np.int64) - first] for name, value in found.items()}


def say(arrays, count, labels):
    """Warn of what is allowed but rarely intended."""
    seeds, size, _ = shape = arrays["observations"].shape
    if seeds > size:
        warn(
            f"observations of shape {shape} are taken for {seeds} datasets of {size} transitions each: "
            f"for {seeds} steps of {size} environments side by side use hanq.Dataset.from_vector"
        )
    say_unseen(arrays["actions"], count, labels)
    say_lost_digits(arrays)
    say_broken_order(arrays, arrays.get("truncated"))


def say_lost_digits(arrays):
    """Warn, once, if float32 rounds an integer."""
    for name in ("observations", "next_observations", "rewards"):
        lost = lost_digits(name, arrays[name] if name != "rewards" else arrays[name][..., None])
        if lost is not None:
            warn(f"{name} holds {lost}, which float32 rounds to {int(np.float32(lost))}")
            return


def say_broken_order(arrays, truncated):
    """Warn if rows are in order of time but their next observations do not fit. Rows in any other order are fine.

    arrays: (seeds, size, ...) each. truncated: (seeds, size) bool, or None if unknown.
    """
    ended = arrays["terminated"][:, :-1].astype(bool)
    if truncated is not None:
        ended = ended | truncated[:, :-1].astype(bool)
    after, following = arrays["next_observations"][:, :-1], arrays["observations"][:, 1:]
    follows = (after == following).all(-1)
    moves = (arrays["observations"][:, :-1] != after).any(-1)  # where nothing moves, nothing can be told
    within, crossing = follows[~ended], (follows & moves)[ended]
    if follows.size < FEWEST_ROWS or within.size == 0 or within.mean() < 0.5:
        return
    if crossing.size > 0 and crossing.all():
        warn(
            f"next_observations holds the first observation of the next episode in {crossing.size} rows, wherever an episode ended: "
            "where it was cut off that is learned from. Use Dataset.from_episodes, or next_observations=None with truncated"
        )
    breaks = np.argwhere(~follows & ~ended)
    if len(breaks) > 0:
        seed, row = breaks[0].tolist()
        warn(
            f"in {len(breaks)} of {follows.size} rows the next observation is not that of the next row, and no end is marked, first in "
            f"row {row}{f' of dataset {seed}' if len(follows) > 1 else ''}: right if episodes were cut off there, which truncated says"
        )


def select(dataset, seeds):
    """Return a dataset of these seeds only, in this order, or raise what `Dataset.sel` promises."""
    known = {int(seed): i for i, seed in enumerate(dataset.seeds)}
    wanted = check_seeds(seeds).tolist()
    missing = [seed for seed in wanted if seed not in known]
    if missing:
        raise KeyError(f"seeds={missing} are not in this dataset: use some of {list(known)}")
    index = [known[seed] for seed in wanted]
    return replace(dataset, seeds=dataset.seeds[index], **{name: getattr(dataset, name)[index] for name in DIMS})
