"""Trains a population by `reference.step` on any PyTorch device.

On a GPU that also holds the data, the whole step is one CUDA graph, which is launched at once, without Python between its
hundred kernels.
"""

from math import prod

import numpy as np
import torch

from hanq.algorithm import State
from hanq.data.foundations.arguments import shown
from hanq.data.foundations.generator import minibatch
from hanq.reference import Batch, EvaluationBatch, later_step, step

DEVICES = {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
WARM_UP = 3  # runs before the capture, during which libraries choose their kernels


def find_device(device):
    """Return a torch.device by name. Raises ValueError if it is not available."""
    there = [name for name, is_available in DEVICES.items() if is_available()]
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"device={shown(device)} is unknown: use one of {there}") from error
    if found.type not in there:
        raise ValueError(f"device={device!r} is not available: use one of {there}")
    several = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if found.type == "cuda" else [f"{found.type}:0"]
    if found.index is not None and str(found) not in several:
        raise ValueError(f"device={device!r} is not available: use one of {several}")
    return found


def wait(device):
    """Wait until the device has finished its work, which on a GPU is queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class TorchEngine:
    """Runs `reference.step` as it is written.

    next_actions: (agents, size), the actions of each agent's policy in the next observations of its dataset. With these, the
    agents learn the value of that policy instead of that of the best one.
    """

    name, compiled = "torch", staticmethod(lambda function: function)
    segment_seconds = 1.0  # how long a call should last

    def __init__(self, network, agents, dataset, batch_size, device="cpu", next_actions=None):
        self.network, self.batch_size, self.size = network, batch_size, dataset.size
        self.device = torch.device(device)
        self.hypergradients = bool((agents.hyper_lr > 0).any())
        self.seeds, seed_of_agent = np.unique(agents.seeds, return_inverse=True)
        self.seed_of_agent = torch.as_tensor(seed_of_agent, device=self.device)
        self.agents = to_torch(agents, self.device)
        self.screen, self.places = getattr(dataset, "screen", None), torch.arange(8, dtype=torch.uint8, device=self.device)
        self.transitions = self.load(dataset)
        self.next_actions = None if next_actions is None else torch.as_tensor(next_actions, dtype=torch.int64, device=self.device)
        self.first_step, self.later_step = step, self.compiled(later_step)
        self.captured = None

    def load(self, dataset):
        """Move the transitions to the device for `gather`: each (seeds, size, ...)."""
        return Batch(*(torch.as_tensor(getattr(dataset, name), device=self.device) for name in Batch._fields))

    def indices(self, first_step, steps):
        """Yield the minibatch of each gradient step, (seeds, batch); agents with the same seed share it."""
        indices = minibatch(self.seeds, np.arange(first_step, first_step + steps), self.size, self.batch_size)
        return torch.as_tensor(indices, device=self.device)

    def gather(self, index):
        """Return the transitions at `index`, (seeds, batch), in each agent's dataset: (agents, batch, ...)."""
        index = index[self.seed_of_agent]
        batch = Batch(*(values[self.agents.datasets[:, None], index] for values in self.transitions))
        batch = batch._replace(terminated=batch.terminated.to(batch.rewards.dtype))
        if self.screen is not None:
            batch = batch._replace(observations=self.unpack(batch.observations), next_observations=self.unpack(batch.next_observations))
        return batch if self.next_actions is None else EvaluationBatch(*batch, self.next_actions.gather(1, index))

    def unpack(self, packed):
        """Do what `screens.unpack` does: (agents, batch, bytes) -> (agents, batch, channels, height, width) uint8 of 0 and 1."""
        bits = ((packed[..., None] >> self.places) & 1).flatten(-2)
        return bits[..., : prod(self.screen)].unflatten(-1, self.screen)

    def capturable(self):
        """Tell whether everything that a step needs is on a GPU that supports CUDA graphs."""
        return self.device.type == "cuda"

    def advance(self, state, steps):
        """Take `steps` gradient steps and return the new state, which stays on the device; `to_numpy` converts it.

        state: a state from this method, or one of NumPy arrays.
        """
        indices, state = self.indices(state.gradient_step + 1, steps), to_torch(state, self.device)
        if state.gradient_step == 0 and steps > 0:
            state = self.first_step(self.network, self.agents, state, self.gather(indices[0]), self.hypergradients)
            indices = indices[1:]
        if self.capturable() and len(indices) > 0:
            self.captured = self.captured or CapturedStep(self, state, indices[0])
            state = self.captured.advance(state, indices)
        else:
            for index in indices:
                state = self.later_step(self.network, self.agents, state, self.gather(index), self.hypergradients)
        wait(self.device)
        return state


class CompiledTorchEngine(TorchEngine):
    """Runs `reference.step` through `torch.compile`, which needs a C++ compiler and some seconds before the first step."""

    name, compiled = "torch-compiled", staticmethod(lambda function: torch.compile(function))


class CapturedStep:
    """`later_step` as a CUDA graph, between tensors at fixed addresses.

    It has no reference to its engine, because a reference cycle would keep the memory of both until Python's collector runs.
    """

    def __init__(self, engine, state, index):
        self.device, self.index = engine.device, index.clone()
        count = torch.tensor(state.gradient_step, dtype=torch.float64, device=engine.device)
        self.state = State(count, *(tensor.clone() for tensor in state[1:]))
        with torch.cuda.device(self.device):  # streams and graphs belong to the current device
            self.graph = self._captured(engine)

    def advance(self, state, indices):
        """Take a gradient step for each of `indices`, (steps, seeds, batch), and return the new state."""
        for held, value in zip(self.state, state, strict=True):
            held.copy_(torch.as_tensor(value))
        with torch.cuda.device(self.device):
            for index in indices:
                self.index.copy_(index)
                self.graph.replay()
        tensors = (tensor.clone() for tensor in self.state[1:])  # Ctrl-C may interrupt the next steps
        return State(state.gradient_step + len(indices), *tensors)

    def _step(self, engine):
        """Take one gradient step on the tensors held."""
        batch = engine.gather(self.index)
        after = engine.later_step(engine.network, engine.agents, self.state, batch, engine.hypergradients)
        for held, value in zip(self.state, after, strict=True):
            held.copy_(value)

    def _captured(self, engine):
        """Capture the step as a graph, by the recipe in PyTorch's notes on CUDA. This advances the state by a few steps."""
        ordinary, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(ordinary)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self._step(engine)
        ordinary.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=aside):  # the default stream would be the same for all devices
            self._step(engine)
        return graph


def to_torch(record, device):
    """Convert the arrays in a NamedTuple to tensors, floats to float32; other fields stay as they are."""

    def convert(value):
        if not isinstance(value, np.ndarray):
            return value
        return torch.as_tensor(value, dtype=torch.float32 if value.dtype.kind == "f" else None, device=device)

    return type(record)(*map(convert, record))


def to_numpy(record):
    """Convert the tensors in a NamedTuple to NumPy arrays; other fields stay as they are."""
    return type(record)(*(value.cpu().numpy() if torch.is_tensor(value) else value for value in record))
