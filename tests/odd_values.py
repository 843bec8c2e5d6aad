"""What users pass in, for tests of several arguments: what is no number, 1 in many wrappings, and what holds numbers."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas
import torch
import xarray

nan, inf = float("nan"), float("inf")


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no words")


ODD = {  # what is no number, whichever argument it is given for
    "text": "1",
    "bytes": b"1",
    "None": None,
    "bool": True,
    "NumPy's bool": np.True_,
    "tensor of bool": torch.tensor(True),
    "NaN": nan,
    "infinity": inf,
    "huge": 10**5000,
    "minus huge": -(10**5000),
    "huge fraction": Fraction(10**5000),
    "Decimal": Decimal(1),
    "complex": 1j,
    "date": np.datetime64("2020"),
    "missing": pandas.NA,
    "masked": np.ma.masked,
    "mapping": {"a": 1},
    "no data": torch.tensor(1.0, device="meta"),
    "function": len,
    "nested": [[1]],
    "ragged": [[1], [1, 2]],
    "masked list": np.ma.array([1, 2], mask=[False, True]),
    "NaN in a list": [nan],
    "huge in a list": [10**5000],
    "None in a list": [None],
    "without words": Unspeakable(),
    "words in a list": [Unspeakable()],
    "long": ["a"] * 10**6,
    "long text": "a" * 10**6,
}
ONE = {  # what is 1
    "int8": np.int8(1),
    "float16": np.float16(1),
    "longdouble": np.longdouble(1),
    "Fraction": Fraction(1),
    "0-d": np.array(1),
    "tensor": torch.tensor(1),
    "gradients": torch.tensor(1.0, requires_grad=True),
    "bfloat16": torch.tensor(1.0).bfloat16(),
    "xarray": xarray.DataArray(1.0),
}


def frame(values, kind=None):
    """As pandas has it: a table or a column."""
    made = (pandas.DataFrame if np.ndim(values) == 2 else pandas.Series)(values)
    return made if kind is None else made.astype(kind)


def read_only(values):
    values = np.array(values)
    values.flags.writeable = False
    return values


CONTAINERS = {
    "tensor": torch.tensor,
    "needs gradients": lambda values: torch.tensor(values, dtype=torch.float64, requires_grad=True) * 1,
    "inference": torch.inference_mode()(torch.tensor),
    "bfloat16": lambda values: torch.tensor(values).bfloat16().requires_grad_(),
    "float8": lambda values: torch.tensor(values).float().to(torch.float8_e5m2),
    "float16": lambda values: torch.tensor(values).half(),
    "list of tensors": lambda values: [torch.tensor(one, dtype=torch.float32, requires_grad=True) for one in values],
    "tuple of bfloat16": lambda values: tuple(torch.tensor(one).bfloat16() for one in values),
    "nothing masked": np.ma.array,
    "masks in a list": lambda values: [np.ma.array(one) for one in values],
    "objects": lambda values: values.astype(object),
    "fractions": np.vectorize(Fraction, otypes=[object]),
    "pandas": frame,
    "nullable": lambda values: frame(values, "Int64"),
    "nullable floats": lambda values: frame(values, "Float64"),
    "xarray": xarray.DataArray,
    "byte-swapped": lambda values: values.astype(">i4"),
    "byte-swapped floats": lambda values: values.astype(">f8"),
    "longdouble": lambda values: values.astype(np.longdouble),
    "uint64": lambda values: values.astype(np.uint64),
    "read-only": read_only,
    "columns": np.asfortranarray,
    "backwards": lambda values: values[::-1].copy()[::-1],
    "strided": lambda values: np.repeat(values, 2, axis=0)[::2],
    "lists of scalars": lambda values: [list(one) if np.ndim(one) else one for one in values],
}
