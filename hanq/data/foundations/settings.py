"""Shields training from the user's global settings of torch and NumPy."""

from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import torch

AUTOCAST = ("cpu", "cuda", "mps")  # device types


@contextmanager
def set_aside():
    """Restore the default settings of torch and NumPy for the block: gradients on, full float32, no autocast.

    Floating-point errors are ignored too, because a training that diverges is a result, not an error.
    """
    with ExitStack() as stack:
        stack.enter_context(np.errstate(all="ignore"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(whole_float32())
        for kind in AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def whole_float32():
    """Compute matrix products on the CPU in full float32, even if torch.set_float32_matmul_precision allows bfloat16."""
    if hasattr(torch.backends.mkldnn, "matmul"):  # since torch 2.9
        matmul = torch.backends.mkldnn.matmul
        before, choose, whole = matmul.fp32_precision, partial(setattr, matmul, "fp32_precision"), "ieee"
    else:
        before, choose, whole = torch.get_float32_matmul_precision(), torch.set_float32_matmul_precision, "highest"
    choose(whole)
    try:
        yield
    finally:
        choose(before)
