"""What lies below the hidden layers: nothing, or convolutions over images.

Source: the sizes come with the `Network`; Seaquest's are in `hanq.atari.network`.
"""

from functools import partial

import torch
from torch.nn.functional import conv2d, relu


def torso(network, weights, observations):
    """What the first hidden layer reads, (agents, batch, network.obs_dim).

    observations: (agents, batch, obs_dim), passed on as they are where there are no convolutions;
    else images of 0 to 255 in any type, (agents, batch, channels, height, width).
    """
    if not network.convolutions:
        return observations
    x = observations.to(weights["conv_0.weight"].dtype) / 255
    for i, convolution in enumerate(network.convolutions):
        of_every_agent = torch.vmap(partial(conv2d, stride=convolution.stride))
        x = relu(of_every_agent(x, weights[f"conv_{i}.weight"], weights[f"conv_{i}.bias"]))
    return x.flatten(2)
