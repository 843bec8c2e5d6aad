"""Compares a finished file with what is asked for, so that no result is mistaken for another or overwritten by it."""

import json

from hanq.algorithm import Algorithm
from hanq.training.run import GRID

BEFORE = {"eval_velocity": 1.0}  # attributes that early files do not have, and the values that applied then


def held(curves, path):
    """Describe what produced these curves: their attributes, with `algorithm` and `settings` as dicts, and `seeds`.

    path: the path of their file, for messages. Raises ValueError if the description is incomplete.
    """
    missing = {"algorithm", *GRID, "seed"} - {*curves.attrs, *curves.coords}
    if missing:
        raise ValueError(f"path={str(path)!r} does not say its {', '.join(sorted(missing))}: it holds no curves of hanq")
    return (
        BEFORE
        | curves.attrs
        | {
            "algorithm": Algorithm.stored(json.loads(curves.attrs["algorithm"]), path).canonical(),
            "settings": {axis: curves[axis].values.tolist() for axis in GRID},
            "seeds": curves.seed.values.tolist(),
        }
    )


def check_same(path, held, asked, instead):
    """Raise ValueError naming each field in which a file differs from what is asked for.

    held, asked: values by name, possibly nested. Only the names in `asked` are compared. instead: what the message advises.
    """
    held, asked = _flat(held), _flat(asked)
    differing = [
        f"{name}={held.get(name)!r} where {name}={value!r} is asked for"
        for name, value in asked.items()
        if name not in held or held[name] != value
    ]
    if differing:
        raise ValueError(f"path={str(path)!r} holds {', '.join(differing)}: {instead}")


def _flat(values, prefix=""):
    """Flatten nested dicts into one, joining names by dots."""
    flat = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
