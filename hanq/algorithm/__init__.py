"""Algorithms as values, their networks, and populations of agents."""

from hanq.algorithm.agents import Agents, State
from hanq.algorithm.family import CHOICES, DQN, DQN_L2N, DQN_LN, HANQ, PQN, SSANQ, SSAQ, Algorithm
from hanq.algorithm.network import NORM_EPSILON, Convolution, Network, screen_network

__all__ = [
    "Agents",
    "State",
    "CHOICES",
    "DQN",
    "DQN_L2N",
    "DQN_LN",
    "HANQ",
    "PQN",
    "SSANQ",
    "SSAQ",
    "Algorithm",
    "NORM_EPSILON",
    "Convolution",
    "Network",
    "screen_network",
]
