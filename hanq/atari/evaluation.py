"""Evaluates a population on Seaquest: the return of full greedy games, the squared Bellman error and the predictor's scale."""

import numpy as np
import torch

from hanq import reference
from hanq.atari import game
from hanq.atari.network import FRAMES, SIDE
from hanq.data.foundations.generator import EVALUATION, integer, minibatch
from hanq.training.policy import greedy

SAMPLE, CHUNK = 1_024, 128  # msbe and scale are means over SAMPLE transitions of each dataset, computed CHUNK at a time


class Evaluation:
    """Evaluates a population, using emulators that it keeps from call to call.

    engine: the `SeaquestEngine` that trains it. episodes: games per agent, whose starts are a function of the agent's
    seed, the gradient step and the number of the game. horizon: actions after which a game is cut off.
    """

    def __init__(self, engine, episodes, horizon):
        self.engine, self.episodes = engine, episodes
        self.env = game.make(len(engine.agents.seeds) * episodes, horizon, torch.get_num_threads())

    @torch.no_grad()
    def __call__(self, state):
        """Return the mean return, msbe and scale of every agent, each (agents,) float64."""
        engine = self.engine
        params = torch.as_tensor(state.params, device=engine.device)
        error, scale = bellman_error(engine, params)
        seeds = engine.agents.seeds.cpu().numpy()[:, None]
        starts = integer(game.SEEDS, seeds, EVALUATION, state.gradient_step, np.arange(self.episodes))
        returns = play(self.env, engine.network, params, starts)
        return {"return_": returns.mean(1), "msbe": error, "scale": scale}


def play(env, network, params, starts):
    """Play greedy games and return their scores in the game's own points, (agents, episodes) float64.

    params: (agents, network.size). starts: seeds of the games, (agents, episodes). All games are stepped until the last
    one is over. Losing a life does not end a game, and the stack of frames continues across it.
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


def bellman_error(engine, params):
    """Return the mean squared Bellman error without the predictor and the mean scale, each (agents,) float64.

    Both are means over a fixed sample of each agent's dataset: the minibatch of gradient step 0, on which nobody trains.
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
    """Average parts, each (agents, transitions), over all transitions: (agents,) float64, on the CPU because MPS lacks float64."""
    return torch.cat(parts, 1).cpu().double().mean(1).numpy()
