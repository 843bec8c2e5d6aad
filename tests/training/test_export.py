"""Promise: a policy is an ordinary torch module with named weights, which goes wherever such modules go."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS, HANQ, TORCH, small_pendulum
from safetensors.torch import load_file, save_file

import hanq
from hanq.algorithm import Convolution
from hanq.training.policy import Policy

OBSERVATIONS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


def policy_of(algorithm=HANQ, labels=None):
    network = hanq.Network(algorithm, 3, 3)
    return Policy(network, np.random.default_rng(0).normal(0, 0.5, network.size), labels)


every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())


@every_algorithm
def test_weights_have_the_networks_names(algorithm):
    policy = policy_of(algorithm)
    shapes = {name: tuple(value.shape) for name, value in policy.state_dict().items()}
    assert shapes == {name: shape for name, shape in policy.network.shapes.items() if "predictor" not in name}


@every_algorithm
def test_torchscript_computes_the_same(algorithm):
    policy, stored = policy_of(algorithm), io.BytesIO()
    torch.jit.save(torch.jit.script(policy), stored)
    stored.seek(0)
    loaded = torch.jit.load(stored)
    for seen in (OBSERVATIONS, OBSERVATIONS[0], OBSERVATIONS.reshape(1, 7, 3)):
        assert torch.equal(loaded(seen), policy(seen))


@every_algorithm
def test_torch_export_computes_the_same_for_any_batch(algorithm):
    policy = policy_of(algorithm)
    exported = torch.export.export(policy, (OBSERVATIONS,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for seen in (OBSERVATIONS, OBSERVATIONS[:3]):
        torch.testing.assert_close(exported.module()(seen), policy(seen))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("algorithm", ["HANQ", "DQN", "w/o LN", "DQN-L2N"])
def test_onnx_computes_the_same(algorithm, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    policy = policy_of(ALGORITHMS[algorithm])
    torch.onnx.export(policy, (OBSERVATIONS,), tmp_path / "policy.onnx", dynamo=True)
    session = runtime.InferenceSession(tmp_path / "policy.onnx")
    found = session.run(None, {session.get_inputs()[0].name: OBSERVATIONS.numpy()})[0]
    np.testing.assert_allclose(found, policy(OBSERVATIONS).detach(), rtol=1e-4, atol=1e-5)


def test_weights_go_through_safetensors(tmp_path):
    policy = policy_of()
    save_file(policy.state_dict(), tmp_path / "policy.safetensors")
    other = Policy(policy.network, np.zeros(policy.network.size))
    other.load_state_dict(load_file(tmp_path / "policy.safetensors"))
    assert torch.equal(other(OBSERVATIONS), policy(OBSERVATIONS))


BARE = """
import json, sys, torch
seen = torch.tensor(json.loads(sys.argv[2]))
print(json.dumps(torch.jit.load(sys.argv[1])(seen).tolist()))
assert "hanq" not in sys.modules
"""


def test_a_bare_process_with_torch_alone_plays_it(tmp_path):
    policy = policy_of()
    torch.jit.save(torch.jit.script(policy), tmp_path / "policy.pt")
    words = [sys.executable, "-I", "-c", BARE, str(tmp_path / "policy.pt"), json.dumps(OBSERVATIONS.tolist())]
    printed = subprocess.run(words, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    np.testing.assert_allclose(json.loads(printed), policy(OBSERVATIONS).detach(), rtol=1e-6)


def test_weights_of_earlier_versions_still_load():
    policy = policy_of()
    flat = torch.as_tensor(np.random.default_rng(0).normal(0, 0.5, policy.network.size), dtype=torch.float32)
    other = Policy(policy.network, np.zeros(policy.network.size))
    other.load_state_dict({"params": flat})
    assert torch.equal(other(OBSERVATIONS), policy(OBSERVATIONS))


def test_images_of_any_batch_shape_go_through_convolutions():
    network = hanq.Network(HANQ, 2 * 3 * 3, 4, (Convolution(1, 2, 2, 1),))
    policy = Policy(network, np.random.default_rng(0).normal(0, 0.5, network.size))
    images = torch.randint(256, (2, 5, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    scripted = torch.jit.script(policy)
    for seen in (images, images[0], images[0, 0]):
        assert policy(seen).shape == (*seen.shape[:-3], 4)
        torch.testing.assert_close(scripted(seen.float()), policy(seen))
    torch.testing.assert_close(policy(images)[1, 2], policy(images[1, 2]))


@pytest.mark.parametrize("labels", [None, (5, 7, 9), ("left", "none", "right")])
def test_act_gives_the_greedy_actions_label(labels):
    policy = policy_of(labels=labels)
    named = labels or (0, 1, 2)
    expected = [named[place] for place in policy(OBSERVATIONS).argmax(-1)]
    assert len(set(expected)) > 1
    assert [policy.act(seen) for seen in OBSERVATIONS] == policy.act(OBSERVATIONS).tolist() == expected
    assert policy.act(OBSERVATIONS.reshape(7, 1, 3)).shape == (7, 1)
    assert type(policy.act([0.0, 0, 0])) is type(named[0])
    with torch.no_grad():
        policy.head.bias[1] = torch.nan
    assert policy.act(OBSERVATIONS[0]) == named[0]


def test_a_single_number_is_told_to_be_one_hot():
    with pytest.raises(ValueError, match=r"observations has shape \(\): use \(..., 3\); of a numbered state, its one-hot row"):
        policy_of().act(2)


def test_making_a_policy_draws_no_random_numbers():
    run = hanq.train(HANQ, small_pendulum(), learning_rate=1e-2, gradient_steps=1, eval_every=1, eval_episodes=1, **TORCH)
    before = torch.get_rng_state()
    run.policy(seed=0)
    assert torch.equal(torch.get_rng_state(), before)
