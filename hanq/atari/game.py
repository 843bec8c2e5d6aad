"""Seaquest as the agents meet it: 84x84 grey frames, four emulator frames an action.

The emulator with the wrappers of CleanRL's DQN (Huang et al., 2022): up to 30 no-ops, each action
held for 4 frames, the maximum of the last two, FIRE at the start of each life, 84x84, grey.
`SeaquestNoFrameskip-v4` is the ROM that ale-py bundles, without sticky actions and with all 18
actions. ale-py's vector environment does in C++ what Gymnasium's AtariPreprocessing does in Python
(tests compare them); it needs no OpenCV and runs several games at a time.

Where it differs from CleanRL:
1. The start has 0 to 29 no-ops; CleanRL's has 1 to 30.
2. Frames turn grey by ale-py's palette, then the maximum, then the size; CleanRL takes the
   maximum of the colours and the size first. Both sizes are averages over areas.
3. Where the game ends within the 4 frames, the picture after it is the last complete one. Such a
   transition is terminated, so no agent learns from that picture.
4. A game is cut off after 4,500 actions, which are 5 minutes, as Mnih et al. (2015) evaluate; ALE and CleanRL
   allow 30. Whoever only floats at the surface is never attacked and would take all of them, for no points.
"""

import numpy as np
from ale_py.vector_env import AtariVectorEnv

from hanq.data.environments import Environment

NO_OP, FIRE, UP = range(3)
START = (FIRE, UP)
SEEDS = 2**31  # how many an emulator tells apart
NO_DYNAMICS = -1  # there is no compiled twin
SEAQUEST = Environment("Seaquest", NO_DYNAMICS, "SeaquestNoFrameskip-v4", 4 * 84 * 84, 18, 4_500, 0.0, 300.0, 100_000)


def make(games, horizon=SEAQUEST.horizon, threads=1):
    """That many games at a time, each cut off `horizon` actions after its start; rewards are the game's own."""
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
    """New games, as CleanRL's FireResetEnv leaves them: (frames (games, 84, 84), lives (games,)).

    seeds: integers below `SEEDS`, one a game, of which everything after is a function; without them the
    emulators' own generators go on.
    """
    env.reset(seed=None if seeds is None else np.asarray(seeds))
    return press(env, *START)


def next_life(env):
    """What CleanRL's EpisodicLifeEnv and FireResetEnv do after a life is lost; as `start`."""
    return press(env, NO_OP, *START)


def press(env, *actions):
    """The frames and lives after these actions in every game, whose rewards nobody gets."""
    for action in actions:
        frames, _, _, _, info = env.step(np.full(env.num_envs, action))
    return frames[:, 0].copy(), info["lives"].copy()
