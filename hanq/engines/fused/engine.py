"""The fast CPU engine: `reference.step` as one compiled loop per agent.

Each thread trains one agent at a time, whose weights, optimiser and minibatch then stay in the caches of one core. `reference`
remains the specification, and tests compare this engine with it.
"""

import numba
import numpy as np

from hanq.algorithm import State
from hanq.data.foundations.compiling import entry_point, part
from hanq.data.foundations.generator import MINIBATCH, splitmix64, stream_key, to_integer
from hanq.engines.fused.backward import gradient, sort_by_action
from hanq.engines.fused.kernels import FAST
from hanq.engines.fused.memory import new_learner
from hanq.engines.fused.optimiser import Rates, adam, follow, hyper_of, hyper_step
from hanq.engines.fused.passes import fold, next_values, taken_values
from hanq.engines.fused.structure import structure_of
from hanq.engines.sources import VERSION
from hanq.engines.threads import each

MOST_ACTIONS = 64  # each has a sum in a register


@part(**FAST)
def draw(structure, learner, table, seed, lengths, gradient_step):
    """Load the minibatch of `generator.minibatch`: rows of table (size, 2 * obs_dim + 3), or + 4 with the actions of a policy."""
    state, following, inputs = learner.state, learner.following, structure.obs_dim
    key = stream_key(np.uint64(seed), np.uint64(MINIBATCH), np.uint64(gradient_step))
    for r in range(structure.batch):
        transition = table[to_integer(splitmix64(key, np.uint64(r)), len(table))]
        for i in range(inputs):
            state.observations[i, r] = transition[i]
            following.observations[i, r] = transition[inputs + i]
        learner.rewards[r] = transition[2 * inputs]
        learner.continues[r] = transition[2 * inputs + 1]
        state.action[r] = np.int32(transition[2 * inputs + 2])
        if len(lengths.policy) > 0:
            following.action[r] = np.int32(transition[2 * inputs + 3])


@part(**FAST)
def draw_screens(structure, torso, next_torso, screens, seed, gradient_step):
    """Load the screens of the same minibatch, if observations are screens. screens: those of s and of s', each (size, words)."""
    if screens is None:
        return
    here, there = screens
    key = stream_key(np.uint64(seed), np.uint64(MINIBATCH), np.uint64(gradient_step))
    for r in range(structure.batch):
        i = to_integer(splitmix64(key, np.uint64(r)), len(here))
        for w in range(here.shape[1]):
            torso.screens[r, w], next_torso.screens[r, w] = here[i, w], there[i, w]


@part(forceinline=True, **FAST)
def bellman_errors(structure, learner, net, lengths, discount):
    """Compute d loss / d Q(s, a) of each row, bootstrapping from `net`, into learner.errors."""
    number, errors = learner.errors.dtype.type, learner.errors
    next_values(structure, net, learner.following, lengths, learner.bootstrap)
    share = number(2) / number(structure.batch)
    for r in range(structure.batch):
        target = learner.rewards[r] + discount * learner.continues[r] * learner.bootstrap[r]
        errors[r] = share * (learner.value[r] - target)


@part(**FAST)
def inner(a, b):
    a, b, total = a.reshape(-1), b.reshape(-1), a.dtype.type(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@part(**FAST)
def semi_gradient(structure, learner, lengths, discount, lagging):
    """Compute the semi-gradient, into learner.semi. lagging: whether to bootstrap from the target network."""
    net, bootstrap_net = learner.net, learner.target_net if lagging else learner.net
    fold(structure, net)
    if lagging:
        fold(structure, bootstrap_net)
    taken_values(structure, net, learner.state, lengths, learner.value)
    bellman_errors(structure, learner, bootstrap_net, lengths, discount)
    sort_by_action(structure, learner.state)
    gradient(structure, net, learner.state, lengths, learner.errors, structure.predictor, learner.semi)


@part(**FAST)
def objective_gradient(structure, hyper, learner, lengths, rates, lagging):
    """Compute the gradient of the hyperobjective, for `slope_along`, after `semi_gradient` with the same weights.

    lagging: whether `semi_gradient` bootstrapped from the target network.
    """
    if not hyper.residual:
        return
    if lagging:  # the residual error uses the online weights in both terms
        bellman_errors(structure, learner, learner.net, lengths, rates.discount)
        gradient(structure, learner.net, learner.state, lengths, learner.errors, structure.predictor, learner.objective)
    for r in range(structure.batch):
        learner.errors[r] *= -rates.discount * learner.continues[r]
    sort_by_action(structure, learner.following)
    gradient(structure, learner.net, learner.following, lengths, learner.errors, structure.symmetric, learner.through_target)


@part(**FAST)
def slope_along(hyper, learner, lagging, change):
    """Return the inner product of the hyperobjective's gradient and a change of the weights, Eq. (7)."""
    if not hyper.residual:
        return inner(learner.semi, change)
    objective = learner.objective if lagging else learner.semi
    return inner(objective, change) + inner(learner.through_target, change)


@part(**FAST)
def step(structure, hyper, learner, table, screens, seed, lengths, rates, lagging, gradient_step):
    """Take one gradient step, counted from 1, in either order. lagging: whether the target network differs from the weights."""
    draw(structure, learner, table, seed, lengths, gradient_step)
    draw_screens(structure, learner.state.torso, learner.following.torso, screens, seed, gradient_step)
    semi_gradient(structure, learner, lengths, rates.discount, lagging)
    if rates.hyper_lr > 0 and hyper.rate_first and gradient_step > 1:
        objective_gradient(structure, hyper, learner, lengths, rates, lagging)
        slope = -slope_along(hyper, learner, lagging, learner.direction)
        hyper_step(hyper, learner.moving, rates.hyper_lr, slope, gradient_step - 1)
    params = learner.net.every.reshape(-1)
    adam(
        params,
        learner.semi.reshape(-1),
        learner.first_moment.reshape(-1),
        learner.second_moment.reshape(-1),
        learner.direction.reshape(-1),
        learner.moving[0],
        rates.weight_decay,
        gradient_step,
    )
    if rates.target_rate != 1:
        follow(learner.target_net.every.reshape(-1), learner.target_rest.reshape(-1), params, rates.target_rate)
    if rates.hyper_lr > 0 and not hyper.rate_first:
        lagging = rates.target_rate != 1 and not hyper.residual  # the residual error bootstraps from the weights themselves
        semi_gradient(structure, learner, lengths, rates.discount, lagging)
        objective_gradient(structure, hyper, learner, lengths, rates, lagging)
        slope = -slope_along(hyper, learner, lagging, learner.direction)
        hyper_step(hyper, learner.moving, rates.hyper_lr, slope, gradient_step)


def compiled(version):
    """Return `train_agent`, whose cache on disk belongs to one version of the sources."""

    @entry_point(**FAST)
    def train_agent(structure, hyper, lengths, learner, table, screens, seed, rates, first_step, steps, apart):
        """Take gradient steps of one agent, in place. apart: whether its target network differs from its weights at the start."""
        _ = version
        for gradient_step in range(first_step, first_step + steps):
            lagging = rates.target_rate != 1 or (apart and gradient_step == first_step)
            step(structure, hyper, learner, table, screens, seed, lengths, rates, lagging, gradient_step)
        if rates.target_rate == 1:  # nothing has read it since the first step
            target, rest = learner.target_net.every.reshape(-1), learner.target_rest.reshape(-1)
            follow(target, rest, learner.net.every.reshape(-1), rates.target_rate)

    return train_agent


train_agent = compiled(VERSION)


class FusedEngine:
    """Trains a population by `train_agent`, one agent at a time on each thread.

    next_actions: (agents, size), what each agent's policy does in the next observations of its dataset; then the agents
    learn the value of that policy instead of the best one's. dtype: np.float64 is for tests.
    """

    name, train_agent = "fused", staticmethod(train_agent)

    def __init__(self, network, agents, dataset, batch_size, device=None, dtype=np.float32, next_actions=None):
        self.agents, self.dtype, self.next_actions = agents, dtype, next_actions
        # numba.get_num_threads() would start an OpenMP pool, which changes torch's number of threads.
        self.threads = numba.config.NUMBA_NUM_THREADS
        self.structure, self.lengths, self.places = structure_of(network, batch_size, next_actions is not None)
        self.hyper = hyper_of(network.algorithm)
        self.screens, self.stretch = None, 1
        if network.convolutions:
            self.stretch = 10  # an agent's way into the engine's memory and out takes as long as several steps
            self.screens = [packed.view(np.uint64) for packed in (dataset.observations, dataset.next_observations)]
        columns = (
            *(() if network.convolutions else (dataset.observations, dataset.next_observations)),
            dataset.rewards[..., None],
            1 - dataset.terminated[..., None].astype(dtype),
            dataset.actions[..., None],
        )
        self.tables = np.concatenate([column.astype(dtype) for column in columns], axis=-1)  # see `draw`
        rates = zip(*(getattr(agents, name) for name in Rates._fields), strict=True)
        self.rates = [Rates(*map(dtype, one)) for one in rates]

    def table_of(self, agent):
        """What an agent draws its minibatches from, (size, columns)."""
        table = self.tables[self.agents.datasets[agent]]
        if self.next_actions is None:
            return table
        return np.concatenate([table, self.next_actions[agent, :, None].astype(self.dtype)], axis=-1)

    def screens_of(self, agent):
        """The screens of s and of s' in an agent's dataset, each (size, words), or None."""
        return self.screens and tuple(words[self.agents.datasets[agent]] for words in self.screens)

    def advance(self, state, steps):
        """Take `steps` gradient steps from a state of NumPy arrays and return the new one."""
        vectors = np.stack(state[1:7], axis=1).astype(self.dtype)  # (agents, 6, size)
        moving = np.stack(state[7:10], axis=1).astype(self.dtype)  # (agents, 3)
        self.train(state.gradient_step + 1, steps, moving, vectors)
        columns = (np.ascontiguousarray(column) for column in (*vectors.swapaxes(0, 1), *moving.T))
        return State(state.gradient_step + steps, *columns)

    def train(self, first_step, steps, moving, vectors):
        """Take the gradient steps of every agent, in place."""

        def train_one(i):
            learner, params = new_learner(self.structure, vectors[i], self.places, moving[i])
            table, screens, seed = self.table_of(i), self.screens_of(i), self.agents.seeds[i]
            apart = not np.array_equal(params[0], params[1])
            fixed = self.structure, self.hyper, self.lengths
            self.train_agent(*fixed, learner, table, screens, seed, self.rates[i], first_step, steps, apart)
            vectors[i] = params[:6, self.places]

        each(train_one, len(vectors), self.threads)
