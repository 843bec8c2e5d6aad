"""Promise: what a user has set in torch, NumPy or warnings changes no result, stops nothing, and is left as it was."""

import warnings
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from atari_problem import small_frames, some_agents, some_engine
from helpers import HANQ, small_pendulum
from torch.overrides import TorchFunctionMode

import hanq
from hanq.atari import evaluation
from hanq.atari import training as atari
from hanq.engines.population import initial_state

WIDE = replace(hanq.HANQ, hidden_features=128)  # wide enough for torch to take bfloat16 where that is allowed


@contextmanager
def set_to(choose, value, usual):
    choose(value)
    try:
        yield
    finally:
        choose(usual)


@contextmanager
def warnings_as_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


SETTINGS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": lambda: set_to(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16": lambda: set_to(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "meta": lambda: set_to(torch.set_default_device, "meta", None),
    "with meta": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "medium": lambda: set_to(torch.set_float32_matmul_precision, "medium", "highest"),
    "deterministic": lambda: set_to(torch.use_deterministic_algorithms, True, False),
    "NumPy raises": lambda: np.errstate(all="raise"),
    "warnings": warnings_as_errors,
}


def state_of_settings():
    return [
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.empty(0).device,  # torch 2.5.0 cannot say it by its own function once a block with a device has ended
        torch.is_autocast_enabled("cpu"),
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        np.geterr(),
        list(warnings.filters),
    ]


def everything(engine):
    """Bytes of all that collecting, training, evaluating and a policy compute."""
    data = hanq.collect("Pendulum", [0], size=100)
    arrays = [np.full((4, 3), 1e-50), [0, 1, 2, 0], [0.0, 1e-60, 1, 2], np.ones((4, 3)), [0, 0, 0, 1]]
    own = hanq.Dataset.from_arrays(*arrays, environment="Pendulum")
    shared = dict(gradient_steps=3, eval_every=1, eval_episodes=1, engine=engine, progress=False)
    runs = [
        hanq.train(WIDE, data, learning_rate=1e-2, hyper_lr=0.1, batch_size=128, **shared),
        hanq.train(WIDE, own, learning_rate=1e30, weight_decay=1e-60, batch_size=128, **shared),
    ]
    policies = [run.policy(learning_rate=run.curves.learning_rate.item()) for run in runs]
    return [data.digest, own.digest] + [
        part
        for run, policy in zip(runs, policies, strict=True)
        for part in (
            run.parameters.values.tobytes(),
            *(run.curves[name].values.tobytes() for name in run.curves),
            policy.head.weight.device,
            policy.head.weight.dtype,
            policy.head.weight.is_inference(),
            b"".join(one.numpy().tobytes() for one in policy.state_dict().values()),
        )
    ]


usual = cache(everything)


@pytest.mark.parametrize("engine", ["torch", "fused"])
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_results_are_the_same_bits_under_every_setting(engine, setting):
    expected = usual(engine)
    with setting():
        before = state_of_settings()
        assert everything(engine) == expected
        assert state_of_settings() == before


def test_settings_are_left_as_they_were_where_training_ends_in_an_error():
    with torch.inference_mode(), np.errstate(all="raise"), torch.autocast("cpu", torch.bfloat16):
        before = state_of_settings()
        with pytest.raises(ValueError):
            hanq.train(HANQ, small_pendulum(), learning_rate=-1)
        assert state_of_settings() == before


def test_a_policy_made_in_inference_mode_can_be_trained_on():
    run = hanq.train(HANQ, small_pendulum(), learning_rate=1e-2, gradient_steps=1, eval_every=1, engine="torch", progress=False)
    with torch.inference_mode():
        policy = run.policy(seed=0)
    policy(torch.ones(2, 3)).sum().backward()
    assert policy.head.weight.grad.abs().sum() > 0


def train_seaquest():
    run = atari.train_on_frames(
        hanq.HANQ,
        small_frames(),
        learning_rate=1e-4,
        gradient_steps=1,
        eval_every=1,
        eval_episodes=1,
        eval_steps=2,
        batch_size=4,
        device="cpu",
        progress=False,
    )
    return run.parameters.values.tobytes(), *(run.curves[name].values.tobytes() for name in run.curves)


def test_seaquest_is_the_same_bits_too(monkeypatch):
    monkeypatch.setattr(evaluation, "SAMPLE", 16)
    expected = train_seaquest()
    for setting in ("inference_mode", "float64", "meta", "autocast", "medium", "NumPy raises"):
        with SETTINGS[setting]():
            assert train_seaquest() == expected, setting


class WithoutFloat64(TorchFunctionMode):
    """What a device without float64 does: only what was moved to the CPU becomes float64."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        if function is torch.Tensor.cpu:
            result.moved = True
        elif torch.is_tensor(result) and result.dtype == torch.float64 and not getattr(args[0], "moved", False):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        elif torch.is_tensor(result) and getattr(args[0], "moved", False):
            result.moved = True
        return result


def test_the_bellman_error_needs_no_float64_on_the_device(monkeypatch):
    monkeypatch.setattr(evaluation, "SAMPLE", 16)
    agents = some_agents([1, 2])
    engine = some_engine(hanq.HANQ, agents)
    params = torch.as_tensor(initial_state(engine.network, agents).params)
    expected = evaluation.bellman_error(engine, params)
    with WithoutFloat64():
        for values, wanted in zip(evaluation.bellman_error(engine, params), expected, strict=True):
            np.testing.assert_array_equal(values, wanted)
