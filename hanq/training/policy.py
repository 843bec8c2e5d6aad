"""An agent's Q-network as an ordinary torch module, which torch.export, TorchScript, ONNX and safetensors can handle."""

from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from hanq.algorithm import NORM_EPSILON, Network
from hanq.data.foundations.arguments import array


class Policy(nn.Sequential):
    """One agent's Q-network; `act` returns the greedy action.

    Its layers have the names of Network.shapes (hidden_0, head, main_norm, ...). The predictor is left out, because only
    training needs it. To use a policy where hanq is not installed, export it with torch.export or torch.jit.script, or save
    its `state_dict()` with safetensors.
    """

    def __init__(self, network: Network, params: ArrayLike, labels: tuple[int | str, ...] | None = None):
        with torch.device("meta"):  # initial weights would be replaced anyway
            super().__init__(layers(network))
        self.network, self.labels = network, labels
        self.images, self.inputs = bool(network.convolutions), (network.convolutions[0].inputs if network.convolutions else network.obs_dim)
        self.load_state_dict(named(network, np.array(params, np.float32)), assign=True)
        self.eval()  # no layer depends on it, but exporters ask for it

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Map observations (..., obs_dim), or images (..., channels, height, width), to Q-values (..., actions).

        Arrays and lists are accepted as well as tensors, through which gradients flow. Raises ValueError for any other shape.
        """
        if not torch.jit.is_scripting():
            observations = self.checked(observations)
        x = observations.flatten(0, -4) if self.images and observations.dim() > 4 else observations
        for layer in self:
            x = layer(x)
        return x.unflatten(0, observations.shape[:-3]) if self.images and observations.dim() > 4 else x

    @torch.jit.unused
    def checked(self, observations: torch.Tensor) -> torch.Tensor:
        """Convert observations by `tensor`, and raise ValueError if their shape is wrong."""
        observations = self.tensor(observations)
        dims = 3 if self.images else 1  # of one observation
        shape = observations.shape[-dims:]
        if len(shape) < dims or shape[0] != self.inputs:
            allowed = f"(..., {self.inputs}, height, width)" if self.images else f"(..., {self.inputs})"
            hint = "; of a numbered state, its one-hot row" if not self.images and observations.dim() == 0 else ""
            raise ValueError(f"observations has shape {tuple(observations.shape)}: use {allowed}{hint}")
        return observations

    @torch.jit.unused
    def tensor(self, observations: ArrayLike | torch.Tensor) -> torch.Tensor:
        """Convert observations to the dtype and device of the parameters; gradients flow through tensors."""
        weight = next(self.parameters())
        if not torch.is_tensor(observations):
            kind = np.float64 if weight.dtype == torch.float64 else np.float32
            with np.errstate(all="ignore"):  # numbers that are too small become 0, as in torch
                observations = np.array(array("observations", observations), kind)
        elif observations.is_complex():
            raise ValueError(f"observations has dtype {observations.dtype}: use real numbers")
        elif observations.is_meta or observations.layout != torch.strided:
            kind = "on the meta device" if observations.is_meta else observations.layout
            raise ValueError(f"observations is a tensor that is {kind}: use a dense tensor that holds numbers")
        return torch.as_tensor(observations, dtype=weight.dtype, device=weight.device)

    @torch.jit.unused
    def act(self, observations: ArrayLike | torch.Tensor) -> int | str | np.ndarray:
        """Return the greedy action for an observation (obs_dim,), or an array of them for several, (..., obs_dim).

        Actions are given by their labels in the log. In a tie, and if a Q-value is not finite, the first action is chosen.
        """
        with torch.no_grad():
            places = greedy(self(observations)).numpy(force=True)
        labels = np.arange(self.network.actions) if self.labels is None else np.array(self.labels)
        chosen = labels[places]
        return chosen.item() if chosen.ndim == 0 else chosen

    def _load_from_state_dict(self, state_dict, prefix, *arguments):
        flat = state_dict.pop(f"{prefix}params", None)  # the form of policies before version 0.2
        if flat is not None:
            state_dict |= {f"{prefix}{name}": value for name, value in named(self.network, flat).items()}
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def greedy(q):
    """Return the action with the largest Q (..., actions), the first in a tie; 0 if Q is not finite."""
    return torch.where(q.isfinite().all(-1, keepdim=True), q, 0).argmax(-1)


def layers(network):
    """Return the layers of a Q-network by name, in the order in which they are applied."""
    algorithm, width = network.algorithm, network.algorithm.hidden_features
    found = OrderedDict[str, nn.Module]()
    if network.convolutions:
        if network.brightest != 1:
            found["pixels"] = Pixels()
        for i, (inputs, outputs, kernel, stride) in enumerate(network.convolutions):
            found |= {f"conv_{i}": nn.Conv2d(inputs, outputs, kernel, stride), f"conv_{i}_relu": nn.ReLU()}
        found["flatten"] = nn.Flatten(-3)
    found["hidden_0"] = nn.Linear(network.obs_dim, width)
    last = "hidden_0"
    if algorithm.hidden_layers == 2:
        found |= {"hidden_0_relu": nn.ReLU(), "hidden_1": nn.Linear(width, width)}
        last = "hidden_1"
    norm = {"none": None, "l2": L2Norm(), "layer": nn.LayerNorm(width, NORM_EPSILON["layer"], algorithm.norm_affine)}[algorithm.main_norm]
    if norm is None:
        found[f"{last}_relu"] = nn.ReLU()
    elif algorithm.norm_first:
        found |= {"main_norm": norm, "main_norm_relu": nn.ReLU()}  # another name than below: TorchScript identifies modules by name
    else:
        found |= {f"{last}_relu": nn.ReLU(), "main_norm": norm}
    found["head"] = nn.Linear(width, network.actions)
    return found


def named(network, params):
    """Split the parameters of a Q-network by name: (network.size,) -> {name: tensor}, as copies."""
    unused = ("predictor.", "predictor_norm.")
    views = {name: torch.as_tensor(view, device="cpu") for name, view in network.views(params).items() if not name.startswith(unused)}
    return {name: view.detach().clone() for name, view in views.items()}


class Pixels(nn.Module):
    """Scales pixels from the range 0 to 255 to the range 0 to 1."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images / 255


class L2Norm(nn.Module):
    """Scales rows to length 1 (section 10)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(x, dim=-1, eps=1e-12)
