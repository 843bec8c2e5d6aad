"""How good a population is at Seaquest: greedy full games, squared Bellman error, predictor scale."""

import numpy as np
import torch

from hanq import reference
from hanq.atari import game
from hanq.atari.network import FRAMES, SIDE
from hanq.data.generator import EVALUATION, integer, minibatch

SAMPLE, CHUNK = 1_024, 128  # transitions of each dataset that msbe and scale are means of; how many at a time


class Evaluation:
    """Measures a population at a state, with games of its own that it keeps from call to call.

    engine: a training `SeaquestEngine`. episodes: games an agent, whose starts are a function of the agent's
    seed, the gradient step and the game. horizon: actions after which a game is cut off.
    """

    def __init__(self, engine, episodes, horizon):
        self.engine, self.episodes = engine, episodes
        self.env = game.make(len(engine.agents.seeds) * episodes, horizon, torch.get_num_threads())

    @torch.no_grad()
    def __call__(self, state):
        """Mean return, msbe and scale of every agent, each (agents,) float64."""
        engine = self.engine
        params = torch.as_tensor(state.params, device=engine.device)
        error, scale = bellman_error(engine, params)
        seeds = engine.agents.seeds.cpu().numpy()[:, None]
        starts = integer(game.SEEDS, seeds, EVALUATION, state.gradient_step, np.arange(self.episodes))
        returns = play(self.env, engine.network, params, starts)
        return {"return_": returns.mean(1), "msbe": error, "scale": scale}


def play(env, network, params, starts):
    """The return of every agent's greedy games, in the game's own points: (agents, episodes) float64.

    params: (agents, network.size). starts: seeds of the games, (agents, episodes). All games go on until the
    last is over. A lost life ends nothing; the stack of frames runs on across it.
    """
    weights = network.views(params)
    frames, _ = game.start(env, starts.ravel())
    stacks = np.repeat(frames[:, None], FRAMES, 1)  # (games, 4, 84, 84)
    returns, running = np.zeros(starts.size), np.ones(starts.size, bool)
    while running.any():
        seen = torch.as_tensor(stacks, device=params.device).reshape(*starts.shape, FRAMES, SIDE, SIDE)
        actions = greedy(reference.q_values(network, weights, reference.hidden(network, weights, seen)))
        pictures, rewards, ended, cut_off, _ = env.step(actions.ravel().cpu().numpy())
        returns += running * rewards
        running &= ~(ended | cut_off)
        stacks = np.concatenate([stacks[:, 1:], pictures], 1)
    return returns.reshape(starts.shape)


def greedy(q):
    """The best action by Q (..., actions), the first of several; 0 where Q is not finite."""
    return torch.where(q.isfinite().all(-1, keepdim=True), q, 0).argmax(-1)


def bellman_error(engine, params):
    """Mean squared Bellman error without the predictor, and mean scale, each (agents,) float64.

    Over a fixed sample of each agent's dataset: the minibatch of gradient step 0, which is no step of training.
    """
    network, weights = engine.network, engine.network.views(params)
    index = minibatch(engine.seeds, [0], engine.size, SAMPLE)[0]  # (seeds, transitions)
    errors, scales = [], []
    for part in torch.as_tensor(index, device=engine.device).split(CHUNK, 1):
        batch = engine.gather(part)
        next_q = reference.q_values(network, weights, reference.hidden(network, weights, batch.next_observations))
        continues = 1 - batch.terminated
        target = batch.rewards + engine.agents.discount[:, None] * continues * next_q.max(-1).values
        before_relu = reference.hidden(network, weights, batch.observations)
        taken = reference.q_values(network, weights, before_relu).gather(-1, batch.actions[..., None])[..., 0]
        errors.append((taken - target).square())
        if network.algorithm.predictor != "none":
            scales.append(reference.predictor(network, weights, before_relu)[0][..., 0])
    error = mean(errors)
    return error, mean(scales) if scales else np.ones_like(error)


def mean(parts):
    """Mean over all transitions of parts (agents, transitions), (agents,) float64: on the CPU, for MPS has no float64."""
    return torch.cat(parts, 1).cpu().double().mean(1).numpy()
