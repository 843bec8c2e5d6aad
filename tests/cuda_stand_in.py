"""A GPU for tests on machines without one: what is put on "cuda" lies on the CPU, and is counted.

It runs the very code that runs on a GPU, graphs included: a capture records each operation with the tensors that
it read and wrote, and a replay does them again on the same memory. As on a GPU, a capture belongs to the device
that is current, and nothing may move between host and device within one. It cannot show speed, nor the rounding
of a GPU's own arithmetic.
"""

import contextlib
import time
from types import SimpleNamespace

import pytest
import torch
from torch.overrides import TorchFunctionMode, _pop_mode_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from hanq.engines import torch_engine

FROM_DEVICE = (torch.Tensor.cpu, torch.Tensor.item, torch.Tensor.tolist)


class StandIn:
    """Two GPUs' state, and what has happened on them."""

    def __init__(self):
        self.free, self.total, self.current, self.capturing = 2**30, 2**31, 0, False
        self.seconds_a_move = 0.0  # of anything larger than a few indices
        self.up, self.down = 0, 0  # bytes moved to the devices and from them
        self.captured_on, self.usual_stream, self.replays, self.waits = [], None, 0, 0
        self.autocasts = []  # (device type, whether enabled)

    @contextlib.contextmanager
    def device(self, device):
        index = device if isinstance(device, int) else device.index
        before, self.current = self.current, self.current if index is None else index
        try:
            yield
        finally:
            self.current = before

    def stream(self):
        return SimpleNamespace(device=self.current, wait_stream=lambda other: None)

    @contextlib.contextmanager
    def graph(self, graph, stream=None):
        """Record what happens within; without a stream of its own, on the one that the first such graph made, as in torch."""
        self.usual_stream = self.usual_stream or self.stream()
        self.captured_on.append((stream or self.usual_stream).device)
        self.capturing = True
        try:
            with graph:
                yield
        finally:
            self.capturing = False

    def wait(self, device=None):
        self.waits += 1

    def moved(self, tensor, up):
        if self.capturing:
            raise RuntimeError("operation not permitted when stream is capturing")
        size = tensor.nbytes
        if size > 2**12:
            time.sleep(self.seconds_a_move)
        self.up, self.down = self.up + up * size, self.down + (not up) * size


class Graph(TorchDispatchMode):
    """The operations of a capture."""

    def __init__(self, stand_in):
        super().__init__()
        self.stand_in, self.operations = stand_in, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        results = function(*args, **kwargs or {})
        self.operations.append((function, args, kwargs or {}, results))
        return results

    @torch.no_grad()
    def replay(self):
        self.stand_in.replays += 1
        with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction():
            for function, args, kwargs, results in self.operations:
                again = function(*args, **kwargs)
                for kept, value in zip(tree_leaves(results), tree_leaves(again), strict=True):
                    if torch.is_tensor(kept) and kept.data_ptr() != value.data_ptr():
                        kept.copy_(value)


class OnCpu(TorchFunctionMode):
    """Every mention of a CUDA device becomes the CPU."""

    def __init__(self, stand_in):
        super().__init__()
        self.stand_in = stand_in

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.device:
            return function(*args, **kwargs or {})
        given = (args, kwargs or {})
        to_device = any(isinstance(value, torch.device) and value.type == "cuda" for value in tree_leaves(given))
        args, kwargs = tree_map(on_cpu, given)
        result = function(*args, **kwargs)
        if to_device or function in FROM_DEVICE:
            self.stand_in.moved(result if to_device else args[0], up=to_device)
        return result.clone() if to_device else result  # another memory


def on_cpu(value):
    return torch.device("cpu") if isinstance(value, torch.device) and value.type == "cuda" else value


@contextlib.contextmanager
def installed():
    """A `StandIn` in place of torch.cuda."""
    stand_in, autocast, compiler = StandIn(), torch.autocast, torch.compile

    def mapped_autocast(device_type, *args, enabled=True, **kwargs):
        stand_in.autocasts.append((device_type, enabled))
        return autocast("cpu", *args, enabled=enabled, **kwargs)

    def traced(function):
        """By torch.compile's own tracing, of everything but this module; it needs no C++ compiler."""
        of_graph = compiler(function, backend="eager")

        def outside(*args):
            with _pop_mode_temporarily():
                return of_graph(*args)

        return outside

    functions = dict(
        device=stand_in.device,
        graph=stand_in.graph,
        synchronize=stand_in.wait,
        CUDAGraph=lambda: Graph(stand_in),
        Stream=stand_in.stream,
        current_stream=stand_in.stream,
        stream=lambda stream: stand_in.device(stream.device),
        mem_get_info=lambda device: (stand_in.free, stand_in.total),
        empty_cache=lambda: None,
        device_count=lambda: 2,
        get_device_name=lambda device: "a stand-in",
        reset_peak_memory_stats=lambda device: None,
        max_memory_reserved=lambda device: stand_in.up,
    )
    with pytest.MonkeyPatch.context() as patch, OnCpu(stand_in):
        for name, function in functions.items():
            patch.setattr(torch.cuda, name, function)
        patch.setattr(torch, "autocast", mapped_autocast)
        patch.setattr(torch, "compile", traced)
        patch.setitem(torch_engine.DEVICES, "cuda", lambda: True)
        yield stand_in
