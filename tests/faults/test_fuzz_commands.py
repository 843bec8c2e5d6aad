"""Promise: whatever is on the command line, it works or ends with one line and status 2."""

import random
import re

import pytest
from fuzz import Reached, fault, report
from helper import FULL

from hanq.__main__ import main
from hanq.atari import bench as atari_bench
from hanq.atari import frames
from hanq.engines import bench
from hanq.reproduction import ledger, pipeline, protocol
from hanq.training import train as training

INPUTS = 2_000 if FULL else 150

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = [
    "0",
    "-1",
    "1",
    "2",
    "3.5",
    "1e-4",
    "nan",
    "inf",
    "1e400",
    "",
    " ",
    "x",
    "--",
    "-",
    "é",
    "Pendulum",
    "Acrobot",
    "pendulum",
    "table1",
    "fig7",
    "HANQ",
    "DQN",
    "auto",
    "torch",
    "fused",
    "cuda",
    "cuda:99",
    "float32",
    "tf32",
    "bfloat16",
    "10000000000000000000",
    "/dev/null/x",
    "1,2",
    "0x10",
    "[]",
    "\n",
    "a\nb",
    "None",
    "True",
    "~",
    "." * 300,
    "%s",
    "{}",
]
FLAGS = {
    "list": [],
    "reproduce": ["--env", "--out", "--quick", "--engine"],
    "ledger": ["--csv", "--results"],
    "seaquest": [
        "--algorithm",
        "--learning-rate",
        "--hyper-lr",
        "--target-rate",
        "--discount",
        "--seed",
        "--steps",
        "--batch-size",
        "--eval-every",
        "--eval-episodes",
        "--eval-steps",
        "--transitions",
        "--device",
        "--precision",
        "--compile",
        "--out",
    ],
    "table5": ["--row", "--learning-rate", "--target-rate", "--seed", "--steps", "--eval-every", "--device", "--work", "--out"],
    "bench": ["--atari"],
}
GIVEN = {"reproduce": ["fig7"], "seaquest": ["--algorithm", "DQN", "--learning-rate", "1e-4"]}


def command_line(chance):
    """A command with flags and values at random, the required ones mostly among them."""
    name = chance.choice(list(FLAGS) * 5 + ["", "x", "-h", "--version"])
    words = [name] + (GIVEN.get(name, []) if chance.random() < 0.8 else [])
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        if FLAGS.get(name) and chance.random() < 0.9:
            words.append(chance.choice(FLAGS[name]))
        words += chance.choices(WORDS, k=chance.choice([0, 1, 1, 1, 2]))
    return words


def test_fuzzed_command_lines_work_or_end_with_one_line_and_status_2(tmp_path, monkeypatch, capsys, record_property):
    def reached(*_, **__):
        raise Reached

    for module, name in (
        (training, "segments"),
        (protocol, "collect"),
        (pipeline, "train"),
        (frames, "collect_seed"),
        (ledger, "ours"),
        (bench, "main"),
        (atari_bench, "main"),
    ):
        monkeypatch.setattr(module, name, reached)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    chance, faults = random.Random(2), []
    for _ in range(INPUTS):
        words = command_line(chance)
        what = fault(lambda: ended_well(main, words, capsys))
        if what:
            faults.append((what, words))
    report(faults, INPUTS, record_property)


def ended_well(main, words, capsys):
    """Run a command line; AssertionError where it ends in any other way than it should."""
    status = 0
    capsys.readouterr()
    try:
        main(words)
    except SystemExit as ended:
        status = ended.code
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise AssertionError(f"{type(error).__name__} past the command line: {error}") from error
    message = capsys.readouterr().err
    assert status in (None, 0, 2), f"status {status}"
    if status == 2:
        assert re.fullmatch(r"(usage: .*\n( +.*\n)*)?python -m hanq[\w ]*: error: .+\n", message), f"no one line: {message[-300:]!r}"
