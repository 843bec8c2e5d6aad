"""Promise: the chapter Seaquest says no more of its four short runs than their files do."""

from pathlib import Path

import pytest

from hanq.reproduction import ledger, paper

RESULTS = Path(__file__).parents[2] / "book" / "results"
NAMES = [name for name, _ in paper.SEAQUEST]


@pytest.fixture(scope="module")
def curves():
    return {name: paper.result(paper.file_name("seaquest", name), RESULTS) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_one_seed_one_learning_rate_and_a_hundredth_of_the_steps(curves, name):
    """Larger files need another text: they may carry more than "the whole path works"."""
    found = curves[name]
    assert found.sizes["seed"] == 1 and found.attrs["gradient_steps"] == paper.SEAQUEST_STEPS // 100
    assert found.learning_rate.values == pytest.approx([1e-4])
    assert found.target_rate.values == pytest.approx([1e-4 if name == "DQN" else 1.0])
    assert found.attrs["eval_episodes"] == 10  # games behind each point of the figure


def test_the_ledger_sets_no_score_beside_the_papers():
    table = ledger.compare(RESULTS).query("table == '5'")
    assert len(table) == 4 and set(table.overlap) == {""} and table.protocol.str.contains("10,000 of 1,000,000 steps").all()
    assert table.paper_mean.min() > 70  # far above random play, which scores about 20


def test_the_scores_jump_so_much_that_no_order_can_be_read_from_them(curves):
    score = {name: found.score.squeeze() for name, found in curves.items()}
    for name, values in score.items():
        for other in score.keys() - {name}:
            assert (values > score[other]).any() and (values < score[other]).any(), (name, other)


def test_dqn_lns_bellman_error_grows_to_many_times_the_others(curves):
    error = {name: found.msbe.squeeze() for name, found in curves.items()}
    assert error["DQN-LN"][-1] > 5 * error["DQN-LN"][0]
    last = {name: float(values[-5:].mean()) for name, values in error.items()}
    assert last.pop("DQN-LN") > 50 * max(last.values())


def test_hanqs_scale_sinks_below_the_discount(curves):
    assert curves["HANQ"].scale.squeeze()[-5:].max() < 0.99 == curves["HANQ"].discount.item()
