"""Promise: on a GPU the state stays there, the whole step is one graph, and what is not so is said. (On a stand-in.)"""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from atari_problem import small_frames, some_agents
from cuda_stand_in import installed
from helpers import small_pendulum

import hanq
from hanq.algorithm import DQN_LN, HANQ, Convolution, Network
from hanq.atari import evaluation, training
from hanq.atari.training import SeaquestEngine
from hanq.engines import torch_engine
from hanq.engines.population import initial_state
from hanq.engines.torch_engine import to_numpy

TINY = dict(learning_rate=1e-4, batch_size=4, eval_every=4, gradient_steps=8, eval_episodes=1, eval_steps=5, progress=False)
AGENTS = some_agents([1, 2, 1], hyper_lr=0.1, target_rate=0.5)


@pytest.fixture
def gpu():
    small_frames()
    with installed() as stand_in:
        yield stand_in


def network_of(algorithm):
    """With small convolutions on Seaquest's stacks."""
    convolutions = Convolution(4, 6, 8, 8), Convolution(6, 8, 4, 2)
    return Network(replace(algorithm, hidden_layers=1, hidden_features=16), 8 * 4 * 4, 18, convolutions)


def engine_of(device, algorithm=HANQ, **options):
    """(a small engine fed from frames, the state that it starts from)"""
    network = network_of(algorithm)
    return SeaquestEngine(network, AGENTS, small_frames(), 4, torch.device(device), **options), initial_state(network, AGENTS)


def assert_identical(one, other):
    assert type(one.gradient_step) is int
    for name in one._fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


ALGORITHMS = {
    "HANQ": HANQ,
    "rate last": replace(HANQ, rate_first=False, hyperobjective="semi"),
    "DQN-LN": DQN_LN,
    "w/o metapredictor": replace(HANQ, predictor="direct"),
}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_graph_of_a_step_comes_to_the_same_bits_as_steps_without_one(gpu, name, precision):
    """In two parts, so that the held tensors are used again."""
    plain, start = engine_of("cpu", ALGORITHMS[name], precision=precision)
    engine, _ = engine_of("cuda", ALGORITHMS[name], precision=precision)
    half = engine.advance(start, 5)
    kept = to_numpy(half).params.copy()
    assert_identical(to_numpy(engine.advance(half, 7)), to_numpy(plain.advance(start, 12)))
    np.testing.assert_array_equal(to_numpy(half).params, kept)  # what is handed out is no longer held
    assert gpu.replays == 4 + 7 and len(gpu.captured_on) == 1
    assert set(gpu.autocasts) == {("cpu", precision == "bfloat16"), ("cuda", precision == "bfloat16")}


@pytest.mark.filterwarnings("default::DeprecationWarning:torch")  # torch warns of itself
def test_a_compiled_step_is_captured_too(gpu):
    plain, start = engine_of("cpu")
    engine, _ = engine_of("cuda", compiled=True)
    assert_identical(to_numpy(engine.advance(engine.advance(start, 5), 7)), to_numpy(plain.advance(start, 12)))
    assert gpu.replays == 4 + 7 and engine.name == "torch-compiled"


def test_a_population_on_vectors_is_captured_too(gpu):
    data = small_pendulum()
    network = Network(replace(HANQ, hidden_features=16), data.obs_dim, data.action_count)
    plain, engine = (torch_engine.TorchEngine(network, AGENTS, data, 8, device) for device in ("cpu", "cuda"))
    start = initial_state(network, AGENTS)
    assert_identical(to_numpy(engine.advance(start, 6)), to_numpy(plain.advance(start, 6)))
    assert gpu.replays == 5


def test_a_call_moves_each_seeds_indices_and_nothing_else(gpu):
    engine, start = engine_of("cuda")
    state = engine.advance(start, 2)
    up = gpu.up
    engine.advance(state, 6)
    assert gpu.up - up == 6 * 2 * 4 * 8 and gpu.down == 0  # steps, seeds, batch, bytes


def test_a_call_ends_when_the_device_has_done_the_steps(gpu):
    """Or the time of a segment would be that of handing them over."""
    engine, state = engine_of("cuda")
    for calls in (1, 2, 3):
        state = engine.advance(state, 2)
        assert gpu.waits == calls


def test_the_state_comes_back_to_be_evaluated_and_saved_only(gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "Evaluation", lambda engine, *_: lambda state: dict.fromkeys(("return_", "msbe", "scale"), np.ones(2)))
    monkeypatch.setattr(training, "seaquest_network", lambda algorithm, actions: network_of(algorithm))
    monkeypatch.setattr("hanq.training.segments.SEGMENT_SECONDS", 0.0)  # a step a call after the first
    training.train_on_frames(HANQ, small_frames(), **TINY | {"gradient_steps": 12}, checkpoint=tmp_path / "c", device="cuda")
    whole = sum(values.nbytes for values in initial_state(network_of(HANQ), some_agents([1, 2]))[1:])
    assert gpu.down == (3 + 1 + 1) * whole  # three evaluations, the checkpoint at the end, the Run


def test_segments_do_not_shrink_where_moving_the_state_takes_long(gpu, monkeypatch):
    monkeypatch.setattr("hanq.training.segments.SEGMENT_SECONDS", 0.2)
    gpu.seconds_a_move, steps = 0.1, []
    advance = torch_engine.TorchEngine.advance
    monkeypatch.setattr(torch_engine.TorchEngine, "advance", lambda self, state, n: steps.append(n) or advance(self, state, n))
    hanq.train(
        replace(DQN_LN, hidden_features=64),
        small_pendulum(),
        learning_rate=1e-3,
        batch_size=8,
        gradient_steps=60,
        eval_every=60,
        eval_episodes=1,
        engine="torch",
        device="cuda",
        progress=False,
    )
    assert sum(steps) == 60 and max(steps[2:]) > 5 and len(steps) < 20


def test_the_capture_is_on_the_engines_own_device(gpu):
    for device in ("cuda", "cuda:1", "cuda:0"):
        engine, start = engine_of(device)
        engine.advance(start, 2)
    assert gpu.captured_on == [0, 1, 0] and gpu.current == 0


def test_a_gpu_that_is_not_there_is_refused(gpu):
    for device in ("cuda:2", "cuda:99"):
        with pytest.raises(ValueError, match=f"device='{device}' is not available: use one of .*'cuda:0', 'cuda:1'"):
            torch_engine.find_device(device)
    assert torch_engine.find_device("cuda:1").index == 1 and training.checked_device("auto", "tf32").type == "cuda"


@pytest.mark.parametrize("precision", training.PRECISIONS)
def test_evaluation_is_in_float32_at_every_precision(gpu, monkeypatch, precision):
    """Torch's own default has TF32 in convolutions."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(evaluation, "SAMPLE", 8)
    monkeypatch.setattr(training, "seaquest_network", lambda algorithm, actions: network_of(algorithm))
    seen, in_training, play = [], [], evaluation.play
    settings = lambda: (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, torch.is_autocast_enabled("cpu"))
    monkeypatch.setattr(evaluation, "play", lambda *arguments: seen.append(settings()) or play(*arguments))
    gather = SeaquestEngine.gather
    monkeypatch.setattr(SeaquestEngine, "gather", lambda self, index: in_training.append(settings()) or gather(self, index))
    training.train_on_frames(HANQ, small_frames(), **TINY | {"gradient_steps": 4}, device="cuda", precision=precision)
    assert seen == [(False, False, False)]
    assert in_training[0] == (precision == "tf32", precision == "tf32", precision == "bfloat16")
    assert torch.backends.cudnn.allow_tf32


def test_an_engine_and_its_graph_are_freed_without_the_collector(gpu):
    """Or the next training finds too little memory free."""
    engine, start = engine_of("cuda")
    engine.advance(start, 3)
    left = [weakref.ref(engine), weakref.ref(engine.captured), weakref.ref(engine.captured.state.params)]
    gc.disable()
    try:
        del engine
        assert [one() for one in left] == [None, None, None]
    finally:
        gc.enable()


def trained(monkeypatch, **options):
    monkeypatch.setattr(evaluation, "SAMPLE", 8)
    monkeypatch.setattr(training, "seaquest_network", lambda algorithm, actions: network_of(algorithm))
    return training.train_on_frames(HANQ, small_frames(), **TINY | options).curves.attrs


def test_frames_are_moved_once_for_several_trainings(gpu, monkeypatch):
    size = sum(member.frames.nbytes for member in small_frames().members)
    training.ON_DEVICE.clear()
    moved = []
    for rate in (1e-3, 1e-4):
        before = gpu.up
        attrs = trained(monkeypatch, device="cuda", learning_rate=rate)
        moved.append(gpu.up - before)
        assert (attrs["frames"], attrs["cuda_graph"]) == ("on the device", "of the whole step")
    assert moved[0] - moved[1] == size and moved[1] < size / 2


def test_frames_that_do_not_fit_stay_on_disk_with_a_warning_and_the_result_says_so(gpu, monkeypatch):
    training.ON_DEVICE.clear()
    gpu.free = 2**21
    with pytest.warns(UserWarning, match="the frames take .* GB and cuda has .* GB free.*on disk.*without a CUDA graph"):
        attrs = trained(monkeypatch, device="cuda")
    assert (attrs["frames"], attrs["cuda_graph"], attrs["device"]) == ("on disk", "none", "a stand-in")
    assert not gpu.replays
    attrs = trained(monkeypatch, device="cpu")
    assert (attrs["frames"], attrs["cuda_graph"], attrs["device"]) == ("on disk", "none", "cpu")


def test_nothing_but_cuda_is_captured_for_the_graph_counts_in_float64_which_mps_lacks():
    engine, _ = engine_of("cpu")
    plain = torch_engine.TorchEngine.capturable
    for device in ("cpu", "mps", "cuda"):
        engine.device = torch.device(device)
        assert plain(engine) == (device == "cuda")
    assert not engine.capturable()  # its frames are on disk
