"""A user's settings of torch and NumPy, set aside where they would change a result or stop it."""

from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import torch

AUTOCAST = ("cpu", "cuda", "mps")  # kinds of device


@contextmanager
def set_aside():
    """As torch and NumPy start: gradients on, float32 as it is; and no floating-point errors, for divergence is a result."""
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
    """Matrix products on a CPU in float32, where torch.set_float32_matmul_precision allows bfloat16."""
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
