"""Seaquest as the agents see it: grey frames of 84x84 pixels, with four emulator frames per action.

The emulator is wrapped as in CleanRL's DQN (Huang et al., 2022): up to 30 no-ops at the start, each action held for 4
frames, the maximum of the last two frames, FIRE at the start of each life, and frames in grey at 84x84.
`SeaquestNoFrameskip-v4` is the ROM bundled with ale-py, without sticky actions and with all 18 actions. ale-py's vector
environment does in C++ what Gymnasium's AtariPreprocessing does in Python (tests compare the two), runs several games at
once and does not need OpenCV.

Where it differs from CleanRL:
1. The start has 0 to 29 no-ops; CleanRL's has 1 to 30.
2. Frames are converted to grey by ale-py's palette before the maximum is taken and the size reduced; CleanRL takes the
   maximum of the colours and reduces the size first. Both reduce the size by averaging over areas.
3. If the game ends within the 4 frames, the observation after it is the last complete one. Such a transition is
   terminated, so that no agent learns from that observation.
4. A game is cut off after 4,500 actions, or 5 minutes, as in the evaluation of Mnih et al. (2015); ALE and CleanRL allow
   30 minutes. An agent that only floats at the surface is never attacked and would use up all of that time without scoring.
"""

import numpy as np
from ale_py.vector_env import AtariVectorEnv

from hanq.data.environments import Environment

NO_OP, FIRE, UP = range(3)
START = (FIRE, UP)
SEEDS = 2**31  # the number of distinct seeds of an emulator
NO_DYNAMICS = -1  # Seaquest has no compiled dynamics
SEAQUEST = Environment("Seaquest", NO_DYNAMICS, "SeaquestNoFrameskip-v4", 4 * 84 * 84, 18, 4_500, 0.0, 300.0, 100_000)


def make(games, horizon=SEAQUEST.horizon, threads=1):
    """Make a vector environment of that many games, each cut off after `horizon` actions, with the game's own rewards."""
    return AtariVectorEnv(
        "seaquest",
        games,
        num_threads=threads,
        stack_num=1,
        frameskip=4,
        noop_max=30,
        repeat_action_probability=0.0,
        max_num_frames_per_episode=4 * (horizon + len(START)),
        reward_clipping=False,
        episodic_life=False,
        use_fire_reset=False,
    )


def start(env, seeds=None):
    """Start new games as CleanRL's FireResetEnv does. Returns the frames, (games, 84, 84), and the lives, (games,).

    seeds: integers below `SEEDS`, one per game, which determine everything that follows. Without them the emulators'
    own random generators continue.
    """
    env.reset(seed=None if seeds is None else np.asarray(seeds))
    return press(env, *START)


def next_life(env):
    """Do what CleanRL's EpisodicLifeEnv and FireResetEnv do after a life is lost. Returns the same as `start`."""
    return press(env, NO_OP, *START)


def press(env, *actions):
    """Take these actions in every game, discarding the rewards, and return the frames and lives after them."""
    for action in actions:
        frames, _, _, _, info = env.step(np.full(env.num_envs, action))
    return frames[:, 0].copy(), info["lives"].copy()
