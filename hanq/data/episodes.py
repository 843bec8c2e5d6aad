"""Turns logs into transitions: next observations are found within an episode, never across its end.

Every function returns the arguments of `Dataset.from_arrays` as a dict of arrays, together with `left_out`, the number of steps
without a successor. The last step of an episode that terminated needs no successor, because its next observation is never used;
it gets its own observation instead.
"""

from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import pandas

from hanq.data.foundations.arguments import shown, unwrapped
from hanq.data.transitions import actions_of, checked, column, refuse

KEYS = ("observations", "actions", "rewards", "terminated", "next_observations", "truncated")
AUTORESETS = ("next_step", "same_step")


def followed(arrays, last):
    """Give consecutive rows their next observations.

    arrays: observations, actions, rewards and terminated, (rows, ...) each. last: (rows,) bool, each episode's last row.
    """
    observations, terminated = arrays["observations"], arrays["terminated"].astype(bool)
    after = np.concatenate([observations[1:], observations[-1:]])
    after = np.where(last.reshape(-1, *[1] * (observations.ndim - 1)), observations, after)
    return chosen(arrays | dict(next_observations=after), last, kept=~last | terminated)


def chosen(arrays, last, kept):
    """Select the rows to keep, and mark the last of them in each episode as cut off unless it terminated."""
    if not kept.any():
        raise ValueError("no step has a next observation, for each is its episode's last and none is terminated: nothing would be left")
    numbers = np.concatenate([[0], np.cumsum(last)[:-1]])[kept]  # of the episodes
    ends = np.append(numbers[1:] != numbers[:-1], True)
    arrays = {name: value[kept] for name, value in arrays.items()}
    return arrays | dict(truncated=ends & ~arrays["terminated"].astype(bool), left_out=int((~kept).sum()))


def of_rows(observations, actions, rewards, terminated, truncated):
    """Do what `followed` does for a user's arrays, (size, ...), with flags for both kinds of end."""
    arrays = {"observations": checked("observations", observations), "actions": actions_of("actions", actions)}
    arrays |= {"rewards": checked("rewards", rewards), "terminated": checked("terminated", terminated)}
    arrays["truncated"] = checked("terminated", truncated, "truncated")
    rows = arrays["observations"].shape[:1]
    if arrays["observations"].ndim == 3:
        raise ValueError(
            f"next_observations=None is for a single dataset, with observations (size, obs_dim), and not of shape "
            f"{arrays['observations'].shape}: make one for each seed, or give what followed each step"
        )
    arrays = {name: value if name == "observations" else column(value, 1) for name, value in arrays.items()}
    for name, value in arrays.items():
        if value.shape[:1] != rows or (name != "observations" and value.ndim != 1):
            shape = arrays["observations"].shape
            raise ValueError(f"{name} has shape {value.shape}: without next_observations, observations of shape {shape} need {rows}")
    last = (arrays["terminated"] != 0) | (arrays.pop("truncated") != 0)
    last[-1:] = True
    return followed(arrays, last)


def of_episodes(episodes):
    """Join the episodes that `Dataset.from_episodes` describes."""
    if isinstance(episodes, Mapping | str) or not np.iterable(episodes):
        raise ValueError(f"episodes={shown(episodes)} is not allowed: use a list of dicts, one for each episode")
    parts = [of_episode(f"episodes[{i}]", one) for i, one in enumerate(episodes)]
    if not parts:
        raise ValueError("episodes is empty: use at least one")
    widths = {part["observations"].shape[1:] for part in parts}
    if len(widths) > 1:
        raise ValueError(f"episodes differ in their observations' shapes, {sorted(widths)}: use one")
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return chosen(arrays, arrays.pop("last"), arrays.pop("kept"))


def of_episode(name, episode):
    """Return the rows of one episode, with the flags `last` and `kept`. Raises ValueError naming what is wrong with it."""
    if not isinstance(episode, Mapping):
        raise ValueError(f"{name} is a {type(episode).__name__}: use a dict with {', '.join(KEYS[:4])}")
    unknown, missing = [key for key in episode if key not in KEYS], [key for key in KEYS[:4] if key not in episode]
    if unknown or missing:
        wrong = f"has {unknown[0]!r}, which is unknown" if unknown else f"lacks {missing[0]!r}"
        raise ValueError(f"{name} {wrong}: use a dict with {', '.join(KEYS[:4])}, and next_observations where there is one for each step")
    seen, rewards = (checked(kind, episode[kind], f"{name}[{kind!r}]") for kind in ("observations", "rewards"))
    rewards, actions = column(rewards, 1), column(actions_of(f"{name}['actions']", episode["actions"]), 1)
    steps = len(rewards) if rewards.ndim == 1 else 0
    if steps == 0 or seen.ndim == 0 or len(seen) not in (steps, steps + 1) or actions.shape != (steps,):
        raise ValueError(
            f"{name} has {shapes(observations=seen, actions=actions, rewards=rewards)}: use n actions and rewards, at least 1, "
            "and n + 1 observations, or n"
        )
    ended = end(name, episode["terminated"], steps)
    last = np.arange(steps) == steps - 1
    after, kept = seen[1:], np.ones(steps, bool)
    if episode.get("next_observations") is not None:
        after, seen = checked("next_observations", episode["next_observations"], f"{name}['next_observations']"), seen[:steps]
        if after.shape != seen.shape:
            raise ValueError(f"{name} has {shapes(observations=seen, next_observations=after)}: use one for each step")
    elif len(seen) == steps:
        after, kept = np.concatenate([seen[1:], seen[-1:]]), ~last | ended
    terminated = last & ended
    seen = seen[:steps]
    return dict(observations=seen, actions=actions, rewards=rewards, next_observations=after, terminated=terminated, last=last, kept=kept)


def shapes(**arrays):
    """Describe the shapes of arrays, as text."""
    return ", ".join(f"{name} of shape {value.shape}" for name, value in arrays.items())


def end(name, terminated, steps):
    """Tell whether an episode terminated, from one flag, or from one per step of which only the last may be true."""
    flags = np.atleast_1d(column(checked("terminated", terminated, f"{name}['terminated']"), 1))
    if flags.shape not in ((1,), (steps,)):
        raise ValueError(f"{name}['terminated'] has shape {flags.shape}: use one flag, or one for each of {steps} steps")
    refuse(f"{name}['terminated']", flags, (flags != 0) & (np.arange(len(flags)) < len(flags) - 1), "false before the last step")
    return bool(flags[-1])


def of_frame(table, observations, action, reward, episode, terminated, truncated):
    """Read the rows of a table as `Dataset.from_frame` describes them."""
    names = [observations] if isinstance(observations, str) else list(observations)
    if not names:
        raise ValueError("observations=[] is not allowed: name at least one column")
    check_lengths(table, [*names, action, reward, *(name for name in (episode, terminated, truncated) if name is not None)])
    seen = np.stack([checked("observations", one(table, "observations", name), f"column {name!r}") for name in names], -1)
    arrays = {"observations": seen, "actions": actions_of(f"column {action!r}", one(table, "action", action))}
    arrays["rewards"] = checked("rewards", one(table, "reward", reward), f"column {reward!r}")
    flags = {"terminated": terminated} | ({} if truncated is None else {"truncated": truncated})
    arrays |= {kind: checked("terminated", one(table, kind, name), f"column {name!r}") != 0 for kind, name in flags.items()}
    ended = arrays["terminated"] | arrays.pop("truncated", False)
    if episode is None:
        if truncated is None:
            raise ValueError("episode=None needs truncated: name a column of episodes, or one that is true where they were cut off")
        last = ended.copy()
        last[-1:] = True
        return followed(arrays, last)
    numbers = numbered_episodes(episode, one(table, "episode", episode))
    order = np.argsort(numbers, kind="stable")
    arrays, numbers = {name: value[order] for name, value in arrays.items()}, numbers[order]
    last = np.append(numbers[1:] != numbers[:-1], True)
    early = order[ended[order] & ~last]
    if len(early) > 0:
        raise ValueError(
            f"an episode goes on after its end in row {early.min()} (counted from 0): each in column {episode!r} needs a name of its "
            "own, and its rows in the order of time"
        )
    return followed(arrays, last)


def check_lengths(table, names):
    """Raise ValueError unless the columns of these names, as far as a table has them, are equally long."""
    lengths = {}
    for name in names:
        with suppress(Exception):  # `one` says what is wrong with a column
            lengths[name] = len(table[name])
    for name, length in lengths.items():
        first = next(iter(lengths))
        if length != lengths[first]:
            raise ValueError(f"column {name!r} has {length} rows, where column {first!r} has {lengths[first]}: use one for each step")


def one(table, argument, name):
    """Return a column of a table. Raises ValueError if there is none of that name."""
    try:
        values = table[name]
    except Exception as error:  # pandas, polars, xarray and dicts each raise their own
        columns = getattr(table, "columns", None)
        known = list(table) if columns is None and isinstance(table, Mapping) else columns
        raise ValueError(f"{argument}={shown(name)} is no column: use one of {shown(list(known) if known is not None else [])}") from error
    if np.ndim(values) != 1 or len(values) == 0:
        raise ValueError(f"{argument}={shown(name)} has shape {np.shape(values)}: use a column of at least one row")
    return values


def numbered_episodes(name, values):
    """Number episodes in the order in which they begin. Raises ValueError if a row names no episode."""
    found = np.asarray(unwrapped(f"column {name!r}", values))
    refuse(f"column {name!r}", found, pandas.isna(found), "an episode's name or number in every row")
    _, first, places = np.unique(found.astype(str) if found.dtype.kind == "O" else found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[places]


def of_vector(observations, actions, rewards, terminated, truncated, autoreset):
    """Read arrays (steps, environments, ...) as `Dataset.from_vector` describes them."""
    if autoreset not in AUTORESETS:
        raise ValueError(f"autoreset={shown(autoreset)} is unknown: use one of {AUTORESETS}")
    given = dict(rewards=rewards, terminated=terminated, truncated=truncated)
    arrays = {name: checked("terminated" if name == "truncated" else name, value, name) for name, value in given.items()}
    seen = checked("observations", observations)
    arrays = {"actions": actions_of("actions", actions)} | arrays
    shape = arrays["rewards"].shape
    for name, value in arrays.items():
        if value.shape != shape or len(shape) != 2 or 0 in shape:
            raise ValueError(f"{name} has shape {value.shape}: use (steps, environments) of rewards, actions and both flags")
    steps, count = shape
    if seen.ndim != 3 or seen.shape[:2] not in ((steps, count), (steps + 1, count)):
        raise ValueError(f"observations has shape {seen.shape}: use ({steps}, {count}, obs_dim), or ({steps + 1}, {count}, obs_dim)")
    ended = (arrays["terminated"] != 0) | (arrays.pop("truncated") != 0)
    after_end = np.concatenate([np.zeros((1, count), bool), ended[:-1]])  # Gymnasium resets here, whatever the action
    if autoreset == "next_step":
        refuse("rewards", arrays["rewards"], after_end & (arrays["rewards"] != 0), "0 in the step after an end, or autoreset='same_step'")
    has_next = np.ones(shape, bool) if autoreset == "next_step" else ~ended
    has_next[-1:] &= len(seen) > steps
    after = np.concatenate([seen, seen[-1:]])[1 : steps + 1]
    arrays |= dict(observations=seen[:steps], next_observations=np.where(has_next[..., None], after, seen[:steps]))
    resets = after_end if autoreset == "next_step" else np.zeros(shape, bool)
    last = ended | (np.arange(steps) == steps - 1)[:, None]
    by_environment = {name: np.swapaxes(value, 0, 1).reshape(steps * count, *value.shape[2:]) for name, value in arrays.items()}
    kept = (~resets & (has_next | (arrays["terminated"] != 0))).T.ravel()
    found = chosen(by_environment, last.T.ravel(), kept)
    return found | dict(left_out=found["left_out"] - int(resets.sum()), resets=int(resets.sum()))
