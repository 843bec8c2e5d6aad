"""Checks a user's arguments: numbers, counts, seeds and arrays. Every error names the argument, its value and what is allowed."""

import json
import sys
import warnings
from collections.abc import Mapping
from fractions import Fraction
from numbers import Integral, Real

import numpy as np
import torch

LARGEST_SEED = int(np.iinfo(np.int64).max)
LONGEST = 200  # characters of a value in a message
PLAIN = {bool, int, float, np.float64, np.float32, np.int64}  # types in a list that need no conversion
EXACT = 2**24, 2**53  # float32 and float64 hold every integer up to these
ONES_OWN = (torch.float16, torch.float32, torch.float64)  # float types that NumPy has too


def shown(value):
    """Format a value as one line for a message, without its middle if it is long."""
    if isinstance(value, int) and value.bit_length() > 4 * LONGEST:  # Python writes out no more than 4,300 digits
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, list | tuple | set | frozenset | dict) and len(value) > LONGEST:
        return f"a {type(value).__name__} of {len(value)}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a user's own class may raise anything
        text = f"a {type(value).__name__}"
    half = LONGEST // 2 - 3
    return text if len(text) <= LONGEST else f"{text[:half]} ... {text[-half:]}"


def warn(message):
    """Warn at the line of user code that called the package, however deep the call stack."""
    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("hanq", "contextlib"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def number(value):
    """Convert a real number, also one of NumPy, torch or xarray, to an int, Fraction or float; None for bool and anything else."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item") and not isinstance(value, np.ma.MaskedArray):
        try:
            value = value.item()
        except (RuntimeError, TypeError):  # a tensor without data
            return None
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    return int(value) if isinstance(value, Integral) else value if isinstance(value, Fraction) else float(value)


def positive_integer(name, value, below=2**63):
    """Convert a value to an int. Raises ValueError unless it is an integer of at least 1."""
    found = number(value)
    if found is None or not 1 <= found < below or found != int(found):
        raise ValueError(f"{name}={shown(value)} is not allowed: use an integer of at least 1 and below {below}")
    return int(found)


def check_seeds(seeds, count=None):
    """Convert one or several seeds to (seeds,) int64. Raises ValueError unless they are `count` distinct ones."""
    allowed = f"use distinct integers from 0 to {LARGEST_SEED}"
    single = isinstance(seeds, str | bytes) or not np.iterable(seeds)
    given = [seeds] if single else seeds if hasattr(seeds, "__array__") else list(seeds)
    try:
        found = array("seeds", given)
    except ValueError as error:
        raise ValueError(f"seeds={shown(seeds)} is not allowed: {allowed} ({error})") from error
    if found.ndim != 1 or len(found) == 0 or found.dtype.kind not in "iu" or found.min() < 0 or found.max() > LARGEST_SEED:
        raise ValueError(f"seeds={shown(seeds)} is not allowed: {allowed}")
    if len(np.unique(found)) < len(found):
        raise ValueError(f"seeds={shown(seeds)} repeats a seed: {allowed}")
    if count not in (None, len(found)):
        raise ValueError(f"seeds={shown(seeds)} has {len(found)} entries: there are {count} datasets")
    return found.astype(np.int64)


def check_seed(name, value):
    """Convert a single seed to an int. Raises ValueError unless it is an integer that may be one."""
    found = number(value)
    if found is None or not 0 <= found <= LARGEST_SEED or found != int(found):
        raise ValueError(f"{name}={shown(value)} is not allowed: use one integer from 0 to {LARGEST_SEED}")
    return int(found)


def plain(name, value):
    """Convert a mapping to a dict. Raises ValueError unless it is one that JSON can represent."""
    try:
        if not isinstance(value, Mapping):
            raise TypeError("it is no dict")
        json.dumps(dict(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name}={shown(value)} is not plain data: use a dict of what JSON has ({error})") from error
    return dict(value)


def array(name, value):
    """Convert a user's numbers to a NumPy array of bool, integers or floats. Raises ValueError for other, masked or missing values.

    Tensors may be on any device, require gradients and have any float type. Object arrays may hold numbers.
    """
    value = unwrapped(name, value)
    try:
        found = np.asarray(value)
    except Exception as error:  # other libraries' arrays raise what they like
        raise ValueError(f"{name} is ragged, or no array: use an array of numbers ({error})") from error
    if found.dtype.kind == "O":
        found = of_objects(name, found)
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {found.dtype}: use numbers")
    return found


def unwrapped(name, value, index=()):
    """Convert each tensor and masked array in a value to an array. index: its position in the user's nested lists."""
    if isinstance(value, torch.Tensor):
        return of_tensor(name, value)
    if isinstance(value, np.ma.MaskedArray):
        masked = np.argwhere(np.ma.getmaskarray(value)) if value.dtype.names is None else []
        if len(masked) > 0:
            where = (*index, *(int(i) for i in masked[0]))
            raise ValueError(f"{name} is masked at index {where}: use numbers throughout, or leave such transitions out")
        return value.data
    if isinstance(value, list | tuple) and not {type(one) for one in value} <= PLAIN:
        return [unwrapped(name, one, (*index, i)) for i, one in enumerate(value)]
    return value


def of_tensor(name, tensor):
    """Copy a tensor to a NumPy array; float types that NumPy lacks become float32."""
    try:
        if tensor.is_floating_point() and tensor.dtype not in ONES_OWN:
            tensor = tensor.float()
        return tensor.numpy(force=True)
    except (RuntimeError, TypeError) as error:  # sparse, without data, quantised
        raise ValueError(f"{name} is a tensor that has no plain numbers: use a dense one ({error})") from error


def of_objects(name, objects):
    """Convert an array of Python objects to an array of numbers."""
    values = []
    for where, one in np.ndenumerate(objects):
        found = int(one) if isinstance(one, bool | np.bool_) else number(one)
        try:
            values.append(found if isinstance(found, int) and abs(found) < 2**63 else float(found))
        except (TypeError, ValueError, OverflowError) as error:
            if objects.ndim == 0:
                raise ValueError(f"{name} is a {type(one).__name__}: use an array of numbers") from error
            raise ValueError(f"{name} holds {shown(one)} at index {where}: use numbers") from error
    return np.array(values).reshape(objects.shape)


def lost_digits(name, values):
    """Return an integer among the values, (..., columns), that float32 rounds, or None if there is none.

    Raises ValueError if two integers in one column become equal. Values that are float32 already have been rounded knowingly,
    and columns with fractions, or with floats so large that all of them are integers, are taken for measurements.
    """
    if values.dtype.kind == "b" or values.dtype.itemsize <= 2 or values.dtype == np.float32:
        return None
    for column in values.reshape(-1, values.shape[-1]).T:
        large = np.unique(column[(column > EXACT[0]) | (column < -EXACT[0])])
        if values.dtype.kind == "f" and not ((column == np.rint(column)).all() and (np.abs(large) <= EXACT[1]).all()):
            continue
        rounded = large.astype(np.float32)
        same = np.flatnonzero(rounded[1:] == rounded[:-1])
        if len(same) > 0:
            one, other = (int(value) for value in large[same[0] : same[0] + 2])
            raise ValueError(
                f"{name} holds {one} and {other}, which are one number in float32: use numbers up to {EXACT[0]}, "
                "such as differences, or float32 where that is meant"
            )
        for value, single in zip(large.tolist(), rounded.tolist(), strict=True):
            if value != single:
                return int(value)
    return None
