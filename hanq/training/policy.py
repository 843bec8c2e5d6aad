"""An agent's Q-network as an ordinary torch module: layers with names, which torch.export, TorchScript, ONNX and safetensors know."""

from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from hanq.algorithm import NORM_EPSILON, Network
from hanq.data.arguments import array


class Policy(nn.Sequential):
    """One agent's Q-values; `act` is greedy on them.

    Its layers are those of Network.shapes that Q-values need, under the same names (hidden_0, head, main_norm, ...); the
    predictor, which only training needs, is left out. Without hanq, use what torch.export or torch.jit.script makes of it, or
    `state_dict()` as safetensors.
    """

    def __init__(self, network: Network, params: ArrayLike, labels: tuple[int | str, ...] | None = None):
        with torch.device("meta"):  # what is about to be replaced needs no memory and no random numbers
            super().__init__(layers(network))
        self.network, self.labels = network, labels
        self.images, self.inputs = bool(network.convolutions), (network.convolutions[0].inputs if network.convolutions else network.obs_dim)
        self.load_state_dict(named(network, np.array(params, np.float32)), assign=True)
        self.eval()  # nothing here depends on it, but exporters ask

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """observations (..., obs_dim), or images (..., channels, height, width) -> Q-values (..., actions).

        Anything that holds numbers is taken; gradients flow through tensors. Raises ValueError for another shape.
        """
        if not torch.jit.is_scripting():
            observations = self.checked(observations)
        x = observations.flatten(0, -4) if self.images and observations.dim() > 4 else observations
        for layer in self:
            x = layer(x)
        return x.unflatten(0, observations.shape[:-3]) if self.images and observations.dim() > 4 else x

    @torch.jit.unused
    def checked(self, observations: torch.Tensor) -> torch.Tensor:
        """Observations as `tensor` has them; ValueError for another shape."""
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
        """Observations in the dtype and on the device of the parameters; gradients flow through tensors."""
        weight = next(self.parameters())
        if not torch.is_tensor(observations):
            kind = np.float64 if weight.dtype == torch.float64 else np.float32
            with np.errstate(all="ignore"):  # what is too small becomes 0, as in torch
                observations = np.array(array("observations", observations), kind)
        elif observations.is_complex():
            raise ValueError(f"observations has dtype {observations.dtype}: use real numbers")
        elif observations.is_meta or observations.layout != torch.strided:
            kind = "on the meta device" if observations.is_meta else observations.layout
            raise ValueError(f"observations is a tensor that is {kind}: use a dense tensor that holds numbers")
        return torch.as_tensor(observations, dtype=weight.dtype, device=weight.device)

    @torch.jit.unused
    def act(self, observations: ArrayLike | torch.Tensor) -> int | str | np.ndarray:
        """The greedy action of one observation (obs_dim,), by its label in the log; of several (..., obs_dim), an array of them.

        The first of equals, and the first action where a Q-value is not finite.
        """
        with torch.no_grad():
            places = greedy(self(observations)).numpy(force=True)
        labels = np.arange(self.network.actions) if self.labels is None else np.array(self.labels)
        chosen = labels[places]
        return chosen.item() if chosen.ndim == 0 else chosen

    def _load_from_state_dict(self, state_dict, prefix, *arguments):
        flat = state_dict.pop(f"{prefix}params", None)  # as policies were until version 0.2
        if flat is not None:
            state_dict |= {f"{prefix}{name}": value for name, value in named(self.network, flat).items()}
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def greedy(q):
    """The best action by Q (..., actions), the first of several; 0 where Q is not finite."""
    return torch.where(q.isfinite().all(-1, keepdim=True), q, 0).argmax(-1)


def layers(network):
    """A Q-network's layers by name, in the order in which they act."""
    algorithm, width = network.algorithm, network.algorithm.hidden_features
    found = OrderedDict[str, nn.Module]()
    if network.convolutions:
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
        found |= {"main_norm": norm, "main_norm_relu": nn.ReLU()}  # a name of its own: TorchScript tells modules apart by names alone
    else:
        found |= {f"{last}_relu": nn.ReLU(), "main_norm": norm}
    found["head"] = nn.Linear(width, network.actions)
    return found


def named(network, params):
    """The parameters of a Q-network by name: params (network.size,) -> {name: tensor}, each with memory of its own."""
    unused = ("predictor.", "predictor_norm.")
    views = {name: torch.as_tensor(view, device="cpu") for name, view in network.views(params).items() if not name.startswith(unused)}
    return {name: view.detach().clone() for name, view in views.items()}


class Pixels(nn.Module):
    """Images of 0 to 255 as numbers from 0 to 1."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images / 255


class L2Norm(nn.Module):
    """Rows of length 1 (section 10)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(x, dim=-1, eps=1e-12)
