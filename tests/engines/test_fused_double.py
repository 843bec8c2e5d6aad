"""In double precision the fused engine's gradients, rates and runs are the reference's to its last digits."""

from dataclasses import replace

import numpy as np
import pytest
from fused_problem import HYPER_LR, difference, engines, grid, reference_double

from hanq.algorithm import HANQ, Agents, Network
from hanq.engines.population import initial_state

DOUBLE = {
    "HANQ": HANQ,
    "symmetric": replace(HANQ, symmetric=True, predictor_norm="layer"),
    "raw scale, norms first": replace(HANQ, norm_first=True, positive_scale=False, main_norm="l2", predictor_norm="layer"),
    "semi, norms first": replace(HANQ, norm_first=True, hyperobjective="semi"),
    "symmetric, norms first": replace(HANQ, norm_first=True, symmetric=True, predictor_norm="layer"),
    "detached": replace(HANQ, detached_predictor=True, predictor_norm="layer"),
    "detached, symmetric, norms first": replace(HANQ, detached_predictor=True, symmetric=True, norm_first=True),
    "without gains": replace(HANQ, norm_affine=False, predictor_norm="layer"),
    "without gains, norms first": replace(HANQ, norm_affine=False, predictor_norm="layer", norm_first=True),
    "rate last": replace(HANQ, rate_first=False),
    "rate last, semi, square": replace(HANQ, rate_first=False, hyperobjective="semi", rate_form="square"),
    "raw": replace(HANQ, rate_form="raw", hyper_beta_2=0.9, hyper_second_moment=1e-8),
    "without norms or bias": replace(HANQ, main_norm="none", predictor_norm="none", predictor_bias=False),
    "two layers": replace(HANQ, hidden_layers=2),
    "two layers, norms first": replace(HANQ, hidden_layers=2, norm_first=True, symmetric=True),
}


@pytest.mark.parametrize("name", DOUBLE)
def test_every_element_of_both_gradients_is_autograds(name):
    """In double precision: one agent for each parameter, whose last direction is that parameter's.

    The semi-gradient is Adam's first moment after a step; the hyperobjective's gradient along a
    direction is hyper-Adam's.
    """
    algorithm, learning_rate = replace(DOUBLE[name], hidden_features=7), 0.125
    size = Network(algorithm, 3, 3).size
    ones = np.ones(size)
    for target_rate in (1.0, 0.5):
        agents = Agents(ones.astype(int), ones.astype(int), learning_rate * ones, 0.1 * ones, target_rate * ones, 0.9 * ones, 0 * ones)
        ours, reference_engine, start = engines(algorithm, agents, 20, dtype=np.float64)
        elsewhere = initial_state(Network(algorithm, 3, 3), agents._replace(seeds=agents.seeds + 5)).params
        state = start._replace(
            gradient_step=1,
            direction=np.eye(size),
            params=(start.params + 0.1 * elsewhere).astype(np.float64),
            target_params=elsewhere.astype(np.float64),
            learning_rate=learning_rate * ones,
        )
        theirs = reference_double(reference_engine, agents, state, 1)
        mine = ours.advance(state, 1)
        for moment in ("first_moment", "hyper_first_moment"):
            assert np.abs(getattr(theirs, moment)).max() > 1e-3
            np.testing.assert_allclose(getattr(mine, moment), getattr(theirs, moment), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["raw", "square"])
def test_rates_cross_zero_as_in_the_reference(name):
    """In double precision, with steps larger than the rate: a raw one becomes negative, a root changes its sign."""
    agents = grid(learning_rate=0.3, hyper_lr=0.45 if name == "raw" else 1.5 * 0.3**0.5)
    ours, reference_engine, start = engines(replace(HANQ, rate_form=name, hidden_features=24), agents, 20, dtype=np.float64)
    theirs, crossed = start, False
    for _ in range(6):
        theirs, before = reference_double(reference_engine, agents, theirs, 1), theirs
        root = lambda state: np.sqrt(np.abs(state.learning_rate))
        # Adam's first direction is a sign: a step of 1.5 roots ends at -0.5 or at 2.5 of them
        crossed |= (theirs.learning_rate < 0).any() if name == "raw" else np.allclose(root(theirs), 0.5 * root(before), rtol=1e-5)
    mine = ours.advance(start, 6)
    assert crossed
    for field in ("learning_rate", "hyper_first_moment", "hyper_second_moment"):
        np.testing.assert_allclose(getattr(mine, field), getattr(theirs, field), rtol=1e-4)


@pytest.mark.parametrize("name", DOUBLE)
def test_runs_of_200_steps_agree_in_double_precision(name):
    agents = grid(hyper_lr=(0.0, HYPER_LR[DOUBLE[name].rate_form]))
    ours, reference_engine, start = engines(replace(DOUBLE[name], hidden_features=24), agents, 20, dtype=np.float64)
    theirs = reference_double(reference_engine, agents, start, 200)
    assert (difference(ours.advance(start, 200), theirs, start) < 1e-5).all()
