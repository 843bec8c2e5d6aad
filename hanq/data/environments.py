"""The built-in environments: sizes, score ranges, compiled dynamics, and their counterparts in Gymnasium.

The dynamics are the equations of Gymnasium's classic control, compiled so that a whole population can be evaluated during
training; tests compare each with Gymnasium, starting from the same states. A state is a float64 array of 4 numbers, of which
Pendulum uses the first two.
"""

from dataclasses import dataclass
from math import cos, inf, pi, sin

import gymnasium
import numpy as np

from hanq.data.foundations.arguments import number, shown
from hanq.data.foundations.caching import njit
from hanq.data.foundations.compiling import part
from hanq.data.foundations.generator import EVALUATION, random_bits, to_uniform

PENDULUM, ACROBOT, CARTPOLE = range(3)
PENDULUM_TORQUES = (-2.0, 0.0, 2.0)
PENDULUM_MAX_SPEED = 8.0


@dataclass(frozen=True)
class Environment:
    """A discrete-action environment and the paper's way of scoring it (Table 10)."""

    name: str
    code: int
    gymnasium_id: str
    obs_dim: int
    actions: int
    horizon: int
    """The number of steps after which an episode of evaluation is cut off."""
    low_return: float
    """The return that corresponds to a score of 0."""
    high_return: float
    """The return that corresponds to a score of 100."""
    dataset_size: int
    """Transitions in one of the paper's offline datasets (section 11)."""
    best_return: float = inf
    """What no return can exceed, whatever the policy; infinite if no such limit is known."""

    def score(self, return_):
        """Normalise a return to a score of 0 at `low_return` and 100 at `high_return` (section 11.1)."""
        return 100 * (return_ - self.low_return) / (self.high_return - self.low_return)

    def make(self, episode_length=None):
        """Make the environment in Gymnasium, with discrete actions. Raises the errors of gymnasium.make."""
        twin = gymnasium.make(self.gymnasium_id, max_episode_steps=episode_length or self.horizon)
        if self.code != PENDULUM:
            return twin
        torques = np.array(PENDULUM_TORQUES, np.float32)
        return gymnasium.wrappers.TransformAction(
            twin, lambda action: torques[action : action + 1], gymnasium.spaces.Discrete(len(torques))
        )


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("Pendulum", PENDULUM, "Pendulum-v1", 3, 3, 200, -1500.0, -200.0, 1_000, 0.0),
        Environment("Acrobot", ACROBOT, "Acrobot-v1", 6, 3, 500, -500.0, -100.0, 10_000, 0.0),
        Environment("CartPole", CARTPOLE, "CartPole-v1", 4, 2, 500, 0.0, 500.0, 10_000, 500.0),
    )
}


def find(name):
    """Return a built-in environment by name. Raises ValueError naming the known ones."""
    if not isinstance(name, str) or name not in ENVIRONMENTS:
        raise ValueError(f"environment={shown(name)} is unknown: use one of {tuple(ENVIRONMENTS)}")
    return ENVIRONMENTS[name]


def speed(name, value):
    """Convert the angular speed of a pendulum, in radians per second, to a float. Raises ValueError if it is not allowed."""
    found = number(value)
    if found is None or not 0 <= found <= PENDULUM_MAX_SPEED:
        raise ValueError(f"{name}={shown(value)} is out of range: use a number from 0 to {PENDULUM_MAX_SPEED:g}")
    return float(found)


def eval_velocity(environment, value):
    """Return the largest initial speed in evaluation, by default `PENDULUM_MAX_SPEED` for Pendulum. Raises ValueError if not allowed."""
    if value is None:
        return PENDULUM_MAX_SPEED if environment == "Pendulum" else 1.0
    value = speed("eval_velocity", value)
    if value != 1 and environment != "Pendulum":
        raise ValueError(
            f"eval_velocity={value!r} applies to Pendulum only: leave it out for {environment or 'data without an environment'}"
        )
    return value


@njit(cache=True)
def reset(code, state, seed, gradient_step, episode, velocity=1.0):
    """Draw a start for evaluation into `state`, distributed as in Gymnasium's reset.

    velocity: Pendulum's initial velocity is drawn from [-velocity, velocity], in radians per second. Gymnasium uses 1.
    """
    for i in range(4):
        bits = random_bits(seed, EVALUATION, gradient_step, 4 * episode + i)
        state[i] = 2.0 * to_uniform(bits) - 1.0
    if code == PENDULUM:
        state[0] *= pi  # angle
        state[1] *= velocity
    elif code == ACROBOT:
        state *= 0.1
    else:
        state *= 0.05


@njit(cache=True)
def observe(code, state, observation):
    """Write the observation of `state` into `observation`, (obs_dim,) float32."""
    if code == PENDULUM:
        observation[0], observation[1], observation[2] = cos(state[0]), sin(state[0]), state[1]
    elif code == ACROBOT:
        observation[0], observation[1] = cos(state[0]), sin(state[0])
        observation[2], observation[3] = cos(state[1]), sin(state[1])
        observation[4], observation[5] = state[2], state[3]
    else:
        for i in range(4):
            observation[i] = state[i]


@njit(cache=True)
def step(code, state, action):
    """Advance `state` in place by one action, and return (reward, terminated)."""
    if code == PENDULUM:
        return pendulum_step(state, action), False
    if code == ACROBOT:
        return acrobot_step(state, action)
    return cartpole_step(state, action)


@part()
def pendulum_step(state, action):
    angle, velocity = state[0], state[1]
    torque = PENDULUM_TORQUES[action]
    wrapped = (angle + pi) % (2 * pi) - pi
    reward = -(wrapped**2 + 0.1 * velocity**2 + 0.001 * torque**2)
    velocity += (15.0 * sin(angle) + 3.0 * torque) * 0.05  # g = 10, mass and length 1
    state[1] = min(max(velocity, -PENDULUM_MAX_SPEED), PENDULUM_MAX_SPEED)
    state[0] = angle + state[1] * 0.05
    return reward


@part()
def acrobot_derivative(angle_1, angle_2, velocity_1, velocity_2, torque):
    """Return the accelerations of both joints. Every mass, length and inertia is 1; centres of mass are at 0.5."""
    d_1 = 0.25 + (1.0 + 0.25 + cos(angle_2)) + 2.0
    d_2 = 0.25 + 0.5 * cos(angle_2) + 1.0
    phi_2 = 0.5 * 9.8 * cos(angle_1 + angle_2 - pi / 2)
    phi_1 = -0.5 * velocity_2**2 * sin(angle_2) - velocity_2 * velocity_1 * sin(angle_2) + 1.5 * 9.8 * cos(angle_1 - pi / 2) + phi_2
    numerator = torque + d_2 / d_1 * phi_1 - 0.5 * velocity_1**2 * sin(angle_2) - phi_2
    acceleration_2 = numerator / (0.25 + 1.0 - d_2**2 / d_1)
    return -(d_2 * acceleration_2 + phi_1) / d_1, acceleration_2


@part()
def acrobot_rk4(state, torque, dt):
    """Take one classic Runge-Kutta step of length `dt`, in place."""
    a, b, c, d = state[0], state[1], state[2], state[3]
    k_a, k_b, k_c, k_d = 0.0, 0.0, 0.0, 0.0
    for reach, weight in ((0.0, 1.0), (dt / 2, 2.0), (dt / 2, 2.0), (dt, 1.0)):
        at_a, at_b, at_c, at_d = a + reach * k_a, b + reach * k_b, c + reach * k_c, d + reach * k_d
        k_a, k_b = at_c, at_d
        k_c, k_d = acrobot_derivative(at_a, at_b, at_c, at_d, torque)
        state[0] += dt / 6 * weight * k_a
        state[1] += dt / 6 * weight * k_b
        state[2] += dt / 6 * weight * k_c
        state[3] += dt / 6 * weight * k_d


@part()
def acrobot_step(state, action):
    acrobot_rk4(state, action - 1.0, 0.2)
    for i in range(2):
        while state[i] > pi:
            state[i] -= 2 * pi
        while state[i] < -pi:
            state[i] += 2 * pi
    state[2] = min(max(state[2], -4 * pi), 4 * pi)
    state[3] = min(max(state[3], -9 * pi), 9 * pi)
    terminated = -cos(state[0]) - cos(state[1] + state[0]) > 1.0
    return (0.0 if terminated else -1.0), terminated


@part()
def cartpole_step(state, action):
    x, x_velocity, angle, velocity = state[0], state[1], state[2], state[3]
    force = 10.0 if action == 1 else -10.0
    push = (force + 0.05 * velocity**2 * sin(angle)) / 1.1  # pole 0.1 of a total mass of 1.1
    acceleration = (9.8 * sin(angle) - cos(angle) * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos(angle) ** 2 / 1.1))
    state[0] = x + 0.02 * x_velocity
    state[1] = x_velocity + 0.02 * (push - 0.05 * acceleration * cos(angle) / 1.1)
    state[2] = angle + 0.02 * velocity
    state[3] = velocity + 0.02 * acceleration
    terminated = abs(state[0]) > 2.4 or abs(state[2]) > 12 * 2 * pi / 360
    return 1.0, terminated
