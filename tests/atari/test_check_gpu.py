"""Promise: `python -m hanq check-gpu` says what a GPU gets wrong, what fits and how long Table 5 takes. (On a stand-in.)"""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from atari_problem import small_frames
from cuda_stand_in import Graph, installed

from hanq.__main__ import main
from hanq.algorithm import HANQ, Network
from hanq.atari import bench, check_gpu, evaluation
from hanq.atari.training import SeaquestEngine
from hanq.engines.torch_engine import to_numpy


@pytest.fixture
def small(monkeypatch):
    convolutions, inputs = check_gpu.SMALL
    tiny = lambda algorithm, actions: Network(replace(algorithm, hidden_layers=1, hidden_features=16), inputs, actions, convolutions)
    monkeypatch.setattr(bench, "seaquest_network", tiny)
    monkeypatch.setattr(bench, "BATCH", 2)
    monkeypatch.setattr(evaluation, "SAMPLE", 8)
    for name, value in dict(TRANSITIONS=100, SECONDS=0.01, HORIZONS=(2, 4), ENDS={1: 1e-3, 10: 1e-3}).items():
        monkeypatch.setattr(check_gpu, name, value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(capsys):
    for arguments in ([], ["--device", "cuda:1"]):
        assert main(["check-gpu", *arguments]) == 2
        found = capsys.readouterr()
        assert found.out == "" and found.err == "no GPU is found: torch.cuda.is_available() is False\n"


def test_a_bad_argument_is_refused_by_name(capsys):
    for arguments, named in ((["--agents", "0"], "agents=0"), (["--device", "tpu"], "device='tpu'")):
        with pytest.raises(SystemExit, match="2"):
            main(["check-gpu", "--device", "cpu", *arguments])
        assert named in capsys.readouterr().err


def test_where_all_is_right_it_says_what_table_5_takes(small, capsys):
    with installed() as gpu:
        assert main(["check-gpu", "--agents", "2", "1"]) == 0
    text = capsys.readouterr().out
    for line in (
        "cuda: a stand-in",
        "HANQ ",
        "DQN-LN",
        "w-o-metapredictor",
        "DQN ",
        "HANQ, hyper_lr 0.1",
        "the CUDA graph",
        "90 agents take",
        "everything agrees",
    ):
        assert f"\n{line}" in f"\n{text}" or f"\n  {line}" in text, line
    assert text.count("  agrees\n") == 5 + 1 and "DIFFERS" not in text
    for precision in ("float32", "tf32", "bfloat16"):
        assert f"Table 5 in {precision}: " in text
    assert gpu.replays > 100
    assert ("cuda", True) in gpu.autocasts


def test_a_gpu_that_computes_something_else_ends_with_1(small, capsys, monkeypatch):
    """Here a replay does nothing."""
    monkeypatch.setattr(Graph, "replay", lambda self: None)
    with installed():
        assert main(["check-gpu", "--agents", "1"]) == 1
    text = capsys.readouterr().out
    assert text.count("  DIFFERS\n") == 5 + 1 and "do not train here" in text


def test_a_wrong_capture_is_told_from_a_wrong_gpu(small, capsys):
    data = small_frames()
    with installed():
        assert list(check_gpu.capture(data, torch.device("cuda"))) == [True]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Graph, "replay", lambda self: None)
            assert list(check_gpu.capture(data, torch.device("cuda"))) == [False]
        assert list(check_gpu.parity(data, torch.device("cuda"))) == [True] * 5
    assert list(check_gpu.capture(data, torch.device("cpu"))) == []
    assert "no CUDA graph on cpu" in capsys.readouterr().out


def test_half_the_digits_are_no_parity():
    """So a GPU that quietly computes in less than float32 is found."""
    data = small_frames()
    engine, start = check_gpu.small_engine(HANQ, data, torch.device("cpu"))
    theirs = to_numpy(engine.advance(start, 10))
    coarse = SeaquestEngine(engine.network, to_numpy(engine.agents), data, 8, torch.device("cpu"), "bfloat16")
    assert check_gpu.distance(to_numpy(coarse.advance(start, 10)), theirs, start) > 10 * check_gpu.ENDS[10]
    assert check_gpu.distance(theirs, theirs, start) == 0
    broken = theirs._replace(params=theirs.params * np.nan)
    assert not check_gpu.distance(broken, theirs, start) <= 1


def test_hours_are_those_of_every_row_and_learning_rate(capsys):
    """12 learning rates, 1,000,000 steps; three rows of 30 agents and one of 90; 100 evaluations of each agent."""
    check_gpu.say_hours({30: {"float32": 10.0}, 90: {"float32": 5.0}}, of_evaluation=2.0)
    assert capsys.readouterr().out == "Table 5 in float32: 1,667 hours of gradient steps, and at most 120 of evaluation\n"
    check_gpu.say_hours({1: {"tf32": 50.0}, 10: {"tf32": 10.0}}, of_evaluation=0.0)  # in proportion to the agents beyond
    assert "Table 5 in tf32: 6,000 hours" in capsys.readouterr().out


def test_memory_is_extrapolated_to_the_largest_row(capsys):
    data = SimpleNamespace(size=10, members=[SimpleNamespace(frames=np.zeros(70_000, np.uint8))])  # 21 GB for Table 5
    with installed() as gpu:
        for total, fits in ((68, "fits"), (67, "does NOT fit"), (41, "does NOT fit")):
            gpu.total = total * 10**9
            check_gpu.say_memory(data, torch.device("cuda"), {1: 2 * 10**9, 8: 55 * 10**8})
            text = capsys.readouterr().out
            assert "90 agents take 46.5 GB, frames of 30 seeds 21.0 GB" in text
            assert fits in text


def test_more_agents_than_fit_end_the_table_not_the_command(small, monkeypatch, capsys):
    population = bench.population

    def full(algorithm, data, device, agents, **options):
        if agents > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return population(algorithm, data, device, agents, **options)

    monkeypatch.setattr(bench, "population", full)
    memory, speed = check_gpu.measured(small_frames(), torch.device("cpu"), [1, 2, 3])
    assert list(memory) == list(speed) == [1] and capsys.readouterr().out.count("out of memory") == 1


def test_an_evaluation_is_timed_for_its_longest_games(small, monkeypatch):
    def fake(engine, episodes, horizon):
        assert episodes == 10
        return lambda state: time.sleep(0.1 + 0.05 * horizon)

    monkeypatch.setattr(check_gpu, "Evaluation", fake)
    seconds = check_gpu.evaluation_seconds(small_frames(), torch.device("cpu"), 2)
    assert seconds == pytest.approx((0.1 + 0.05 * 4_500) / 2, rel=0.2)
