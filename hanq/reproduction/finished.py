"""Compares a finished file with what is asked for, so that no result is mistaken for another or replaced by it."""

import json

from hanq.algorithm import Algorithm
from hanq.training.run import GRID

BEFORE = {"eval_velocity": 1.0}  # what held before files said so


def held(curves, path):
    """What produced these curves: their attributes, with `algorithm` and `settings` as dicts, and `seeds`.

    path: their file's. Raises ValueError where they do not say so.
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
    """Raises ValueError naming each field in which a file differs from what is asked for.

    held, asked: values by name, also nested; what the file holds beyond the names in `asked` does not count.
    instead: what the reader of the message can do.
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
    """Nested dicts as one, its names joined by dots."""
    flat = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
