"""Promise: Table 5 has the paper's rows and grid, and a bad argument ends it before it begins."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_table5 import arguments

from hanq.__main__ import main
from hanq.algorithm import DQN, DQN_LN, HANQ
from hanq.atari import command, table5
from hanq.reproduction import paper


def test_the_rows_are_the_papers_four_with_its_grid():
    printed = paper.numbers().query("table == '5'")
    assert set(zip(printed.algorithm, printed.setting, strict=True)) == set(paper.SEAQUEST)
    assert list(table5.ROWS) == ["HANQ", "DQN-LN", "w-o-metapredictor", "DQN"]
    assert [row.algorithms for row in table5.ROWS.values()][:2] == [(HANQ,), (DQN_LN,)]
    np.testing.assert_allclose(np.log10(paper.ATARI_LEARNING_RATES), np.arange(-2.5, -8.1, -0.5))
    settings = table5.settings_of(table5.ROWS["DQN"], paper.ATARI_LEARNING_RATES, paper.ATARI_TARGET_RATES)
    assert table5.ROWS["DQN"].algorithms == (DQN,) and len(settings) == 12
    assert settings[3] == {"learning_rate": [1e-4], "hyper_lr": [0.0], "target_rate": [1e-4, 1e-5, 1e-6], "discount": [0.99]}
    for label in ("HANQ", "DQN-LN", "w-o-metapredictor"):
        (settings,) = table5.settings_of(table5.ROWS[label], [1e-4], paper.ATARI_TARGET_RATES)
        assert settings["hyper_lr"] == [0.0] and settings["target_rate"] == [1.0]


def test_a_repeated_learning_rate_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(SystemExit, match="2"):
        main(arguments(tmp_path, rates=[1e-4, 1e-4]))
    assert not list(tmp_path.iterdir())


def test_the_committed_results_may_be_replaced_by_the_whole_experiment_and_are_kept_for_a_part(tmp_path, monkeypatch):
    committed = Path(__file__).parents[2] / "book" / "results"
    trained = []
    monkeypatch.setattr(command, "trained", lambda path, *_: trained.append(path) or 1 / 0)
    shutil.copytree(committed / "seaquest", tmp_path / "seaquest")
    folders = ["--work", str(tmp_path / "work"), "--out", str(tmp_path)]
    with pytest.raises(ZeroDivisionError):
        main(["table5", *folders])
    small = ["--learning-rate", "1e-4", "--seed", "0", "--steps", "10000", "--eval-every", "1000", "--target-rate", "1e-4"]
    main(["table5", *folders, *small])  # it is all there
    assert len(trained) == 1


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (["--learning-rate", "1e-4", "-1"], "learning_rate=-1.0"),  # of the second training
        (["--steps", "0"], "gradient_steps=0"),
        (["--row", "DQN", "--target-rate", "2"], "target_rate=2"),
        (["--row", "PQN"], "invalid choice: 'PQN'"),
        (["--row", "DQN-LN", "DQN-LN"], "row=['DQN-LN', 'DQN-LN'] repeats a row"),
        (["--device", "tpu"], "device='tpu'"),
    ],
)
def test_a_bad_argument_ends_the_command_before_anything_is_collected(tmp_path, capsys, extra, named):
    with pytest.raises(SystemExit) as ended:
        main([*arguments(tmp_path), *extra])
    assert ended.value.code == 2 and named in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_is_named_after_what_differs_from_the_usual():
    class Options:
        seed, transitions, precision = [0], 100_000, "float32"

    rates = {"learning_rate": [10**-2.5], "hyper_lr": [0.0], "target_rate": [1.0], "discount": [0.99]}
    assert command.file_name("HANQ", rates, Options) == "HANQ-learning_rate=0.00316228-seed=0"
