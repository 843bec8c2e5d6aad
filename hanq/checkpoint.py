"""Unfinished training in one file, so that a killed run goes on as if nothing had happened."""

import json

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from hanq.population import State
from hanq.records import atomic

ARRAYS = [name for name in State._fields if name != "gradient_step"]


def save(path, state, history, wall_seconds, fingerprint):
    """Write the state, the evaluations so far (each (evaluations, agents)) and the seconds spent."""
    arrays = {f"state.{name}": getattr(state, name) for name in ARRAYS}
    arrays |= {f"history.{name}": values for name, values in history.items()}
    metadata = {"gradient_step": state.gradient_step, "wall_seconds": wall_seconds, "fingerprint": fingerprint}
    with atomic(path) as partial:
        save_file(arrays, partial, {key: json.dumps(value) for key, value in metadata.items()})


def load(path, fingerprint):
    """(state, history, wall_seconds) as saved.

    Raises ValueError for a damaged file, or one of another run, naming what differs.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
        stored = metadata["fingerprint"]
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"checkpoint={str(path)!r} is truncated, damaged or no checkpoint ({error})") from error
    differing = [name for name in fingerprint if stored.get(name) != fingerprint[name]]
    if differing:
        raise ValueError(f"checkpoint={str(path)!r} belongs to a run with another {', '.join(differing)}: use another path")
    state = State(metadata["gradient_step"], **{name: arrays[f"state.{name}"] for name in ARRAYS})
    history = {name[8:]: values for name, values in arrays.items() if name.startswith("history.")}
    return state, history, metadata["wall_seconds"]
