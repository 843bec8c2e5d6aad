"""`evaluate`: plays a policy in an environment."""

from collections.abc import Callable

import numpy as np
import torch

from hanq.data import environments, simulators
from hanq.data.dataset import Maker
from hanq.data.foundations.arguments import check_seed, positive_integer, shown
from hanq.data.foundations.settings import set_aside
from hanq.data.playing import Stage, play, start_seeds, watched
from hanq.training.policy import Policy, greedy


def check_screens(policy, simulator):
    """Raise ValueError unless a policy of images plays a game with as many channels and actions."""
    channels, screen = policy.network.convolutions and policy.network.convolutions[0].inputs, simulator.screen
    if not channels or not screen or channels != screen[0]:
        wants = f"screens with {channels} channels" if channels else "no screens"
        shows = f"shows screens with {screen[0]}" if screen else "shows none"
        raise ValueError(f"policy takes {wants}, but {simulator.name} {shows}: use a policy trained on its data")
    simulator.played(policy.labels, policy.network.actions)


@set_aside()
def evaluate(
    policy: Policy | Callable[[torch.Tensor], torch.Tensor],
    environment: str | Maker,
    *,
    episodes: int = 10,
    seed: int = 0,
    eval_velocity: float | None = None,
) -> np.ndarray:
    """Play greedy episodes and return their undiscounted returns, (episodes,) float64.

    - policy: a `Policy`, or any function or module that maps an observation (obs_dim,), or in MinAtar a screen (channels, 10, 10),
      to Q-values (actions,), such as an exported policy.
    - environment: see `hanq.collect`.
    - episodes: the number of episodes. Each ends at the environment's own time limit. Where there is none, it is cut off after
      10,000 steps, with a warning.
    - seed: determines where episodes start, identically for every policy.
    - eval_velocity: for Pendulum only, as in `hanq.train`: the largest initial angular speed, by default 8.

    With the eval_velocity of its training, a policy's mean return estimates the same number as the run's `return_`. The two
    differ by chance, for the episodes start elsewhere; the more episodes, the less.

    Raises ValueError naming a bad argument, and RuntimeError naming the step at which the environment raises, hangs or returns
    a number that is not finite.
    """
    if not callable(policy):
        raise ValueError(f"policy={shown(policy)} is not allowed: use run.policy(), or a function from an observation to Q-values")
    simulator, episodes = simulators.find(environment), positive_integer("episodes", episodes)
    starts = simulator.starts(environments.eval_velocity(simulator.name, eval_velocity))
    seed = check_seed("seed", seed)
    labels = getattr(policy, "labels", None)
    if isinstance(policy, Policy) and (policy.images or simulator.screen):
        check_screens(policy, simulator)
    elif isinstance(policy, Policy):
        simulator.check(policy.network.obs_dim, labels, policy.network.actions)
    played = simulator.played(labels, len(labels) if labels is not None else simulator.actions)
    stage, returns = Stage(simulator, f" (evaluating with seed {seed})"), np.empty(episodes)

    def choose(observation):
        given = policy(torch.from_numpy(observation.reshape(simulator.screen or observation.shape)))
        try:
            q = torch.as_tensor(given)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"policy gives {shown(given)}: use a function from an observation to {len(played)} Q-values") from error
        if q.shape != (len(played),):
            raise ValueError(f"policy gives Q-values of shape {tuple(q.shape)}: {simulator.name} needs {(len(played),)}")
        return int(greedy(q))

    def play_all():
        with torch.no_grad(), stage.open():  # a thread has settings of its own
            for episode, start in enumerate(start_seeds(seed, 0, episodes)):
                returns[episode] = play(stage, choose, played, start, simulator.horizon, starts)
        return returns

    return watched(stage, play_all)
