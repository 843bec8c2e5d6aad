"""Trains a population by `reference.step` on any PyTorch device.

On a GPU the whole step is one CUDA graph, where the data lie on the GPU too: launched at once,
without Python between its hundred kernels.
"""

import numpy as np
import torch

from hanq.algorithm import State
from hanq.data.arguments import shown
from hanq.data.generator import minibatch
from hanq.reference import Batch, EvaluationBatch, later_step, step

DEVICES = {"cpu": lambda: True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
WARM_UP = 3  # runs before a capture, in which libraries choose their kernels


def find_device(device):
    """The torch.device of a name, or itself; ValueError where it is not there."""
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
    """Until the device has done what it was given: a GPU is given its work ahead of time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class TorchEngine:
    """Runs `reference.step` as it is written.

    next_actions: (agents, size), what each agent's policy does in the next observations of its dataset; then the agents
    learn the value of that policy instead of the best one's.
    """

    name, compiled = "torch", staticmethod(lambda function: function)

    def __init__(self, network, agents, dataset, batch_size, device="cpu", next_actions=None):
        self.network, self.batch_size, self.size = network, batch_size, dataset.size
        self.device = torch.device(device)
        self.hypergradients = bool((agents.hyper_lr > 0).any())
        self.seeds, seed_of_agent = np.unique(agents.seeds, return_inverse=True)
        self.seed_of_agent = torch.as_tensor(seed_of_agent, device=self.device)
        self.agents = to_torch(agents, self.device)
        self.transitions = self.load(dataset)
        self.next_actions = None if next_actions is None else torch.as_tensor(next_actions, dtype=torch.int64, device=self.device)
        self.first_step, self.later_step = step, self.compiled(later_step)
        self.captured = None

    def load(self, dataset):
        """The transitions on the device, as `gather` wants them: each (seeds, size, ...)."""
        return Batch(*(torch.as_tensor(getattr(dataset, name), device=self.device) for name in Batch._fields))

    def indices(self, first_step, steps):
        """What consecutive gradient steps learn from, each (seeds, batch): agents that share a seed share it."""
        indices = minibatch(self.seeds, np.arange(first_step, first_step + steps), self.size, self.batch_size)
        return torch.as_tensor(indices, device=self.device)

    def gather(self, index):
        """The transitions at `index`, (seeds, batch), of each agent's dataset: (agents, batch, ...)."""
        index = index[self.seed_of_agent]
        batch = Batch(*(values[self.agents.datasets[:, None], index] for values in self.transitions))
        batch = batch._replace(terminated=batch.terminated.to(batch.rewards.dtype))
        return batch if self.next_actions is None else EvaluationBatch(*batch, self.next_actions.gather(1, index))

    def capturable(self):
        """Whether all that a step needs is on a GPU. (A CUDA graph counts in float64, which MPS lacks.)"""
        return self.device.type == "cuda"

    def advance(self, state, steps):
        """`steps` gradient steps on, to a state that stays on the device: `to_numpy` takes it from there.

        state: as this gave it, or of NumPy arrays.
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
    """`later_step` as a CUDA graph, between tensors that stay where they are.

    It does not hold its engine, which holds it: a circle would keep the memory of both until Python's collector runs.
    """

    def __init__(self, engine, state, index):
        self.device, self.index = engine.device, index.clone()
        count = torch.tensor(state.gradient_step, dtype=torch.float64, device=engine.device)
        self.state = State(count, *(tensor.clone() for tensor in state[1:]))
        with torch.cuda.device(self.device):  # streams and graphs belong to the current device
            self.graph = self._captured(engine)

    def advance(self, state, indices):
        """A gradient step for each of `indices`, (steps, seeds, batch), on from `state`, to another."""
        for held, value in zip(self.state, state, strict=True):
            held.copy_(torch.as_tensor(value))
        with torch.cuda.device(self.device):
            for index in indices:
                self.index.copy_(index)
                self.graph.replay()
        tensors = (tensor.clone() for tensor in self.state[1:])  # Ctrl-C may come in the midst of the next steps
        return State(state.gradient_step + len(indices), *tensors)

    def _step(self, engine):
        """One gradient step of the tensors held."""
        batch = engine.gather(self.index)
        after = engine.later_step(engine.network, engine.agents, self.state, batch, engine.hypergradients)
        for held, value in zip(self.state, after, strict=True):
            held.copy_(value)

    def _captured(self, engine):
        """The step as a graph, by the recipe in PyTorch's notes on CUDA; it leaves the state a few steps on."""
        ordinary, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(ordinary)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self._step(engine)
        ordinary.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=aside):  # its own choice is one for all devices
            self._step(engine)
        return graph


def to_torch(record, device):
    """A NamedTuple of arrays as one of tensors, its floats in single precision; what is no array stays as it is."""

    def convert(value):
        if not isinstance(value, np.ndarray):
            return value
        return torch.as_tensor(value, dtype=torch.float32 if value.dtype.kind == "f" else None, device=device)

    return type(record)(*map(convert, record))


def to_numpy(record):
    """A NamedTuple of tensors as one of NumPy arrays; what is no tensor stays as it is."""
    return type(record)(*(value.cpu().numpy() if torch.is_tensor(value) else value for value in record))
