"""Stores unfinished training in one file, so that a killed run continues as if nothing had happened."""

import json
from hashlib import sha256

import numpy as np
from safetensors import SafetensorError, safe_open

from hanq.algorithm import State
from hanq.data.foundations.files import atomic

CHECKSUM = "sha256"
ARRAYS = [name for name in State._fields if name != "gradient_step"]
DTYPES = {"float32": "F32", "float64": "F64"}  # as safetensors names them


def save(path, state, history, wall_seconds, fingerprint):
    """Write the state, the evaluations so far (each (evaluations, agents)) and the seconds spent."""
    arrays = {f"state.{name}": getattr(state, name) for name in ARRAYS}
    arrays |= {f"history.{name}": values for name, values in history.items()}
    metadata = {"gradient_step": state.gradient_step, "wall_seconds": wall_seconds, "fingerprint": fingerprint}
    texts = {key: json.dumps(value) for key, value in metadata.items()}
    with atomic(path) as partial:
        save_file(arrays, partial, texts | {CHECKSUM: digest(arrays, texts)})


def save_file(arrays, path, metadata):
    """Write arrays and strings in the safetensors format: a header with the position of each array, then the arrays.

    The `save_file` of safetensors leaves a file `.tmp...` behind if it is killed, and its `save` copies everything twice.
    """
    header, start = {"__metadata__": metadata}, 0
    for name, values in arrays.items():
        stop = start + values.nbytes
        header[name] = {"dtype": DTYPES[values.dtype.name], "shape": values.shape, "data_offsets": (start, stop)}
        start = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays are aligned
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in arrays.values():
            file.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8))


def load(path, fingerprint):
    """Load (state, history, wall_seconds). An empty fingerprint accepts any run.

    Raises ValueError if the file is damaged, or belongs to another run, naming what differs.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            texts = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
        if texts.pop(CHECKSUM, None) != digest(arrays, texts):
            raise ValueError("its checksum is missing or another")
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"checkpoint={str(path)!r} is truncated, damaged or no checkpoint ({error})") from error
    metadata = {key: json.loads(text) for key, text in texts.items()}
    stored = metadata["fingerprint"]
    differing = [name for name in fingerprint and fingerprint | stored if stored.get(name) != fingerprint.get(name)]
    if differing == ["eval_every"]:
        raise ValueError(
            f"checkpoint={str(path)!r} belongs to a run with another eval_every: use another path, or give the same to go on (by "
            "default it is no more than gradient_steps)"
        )
    if differing:
        raise ValueError(f"checkpoint={str(path)!r} belongs to a run with another {', '.join(differing)}: use another path")
    missing = [name for name in ARRAYS if f"state.{name}" not in arrays]
    if missing:
        raise ValueError(f"checkpoint={str(path)!r} is of another version of hanq, for it lacks {', '.join(missing)}: use another path")
    state = State(metadata["gradient_step"], **{name: arrays[f"state.{name}"] for name in ARRAYS})
    history = {name[8:]: values for name, values in arrays.items() if name.startswith("history.")}
    return state, history, metadata["wall_seconds"]


def reached(path):
    """Return the gradient step of a checkpoint. Raises ValueError if the file is not a checkpoint."""
    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads(file.metadata()["gradient_step"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"checkpoint={str(path)!r} is truncated, damaged or no checkpoint ({error})") from error


def digest(arrays, texts):
    """Return the SHA-256 of everything in a file: arrays by name, and strings."""
    found = sha256(json.dumps(texts, sort_keys=True).encode())
    for name, values in sorted(arrays.items()):
        found.update(f"{name} {values.dtype} {values.shape}".encode())
        found.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
    return found.hexdigest()
