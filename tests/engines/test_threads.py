"""Promise: agents on several threads are each done once, in order; an error is raised, and Ctrl-C waits for none of them."""

import signal
import threading
import time

import pytest

from hanq.engines.threads import each


@pytest.mark.parametrize(("count", "threads"), [(0, 2), (1, 4), (7, 1), (50, 3)])
def test_every_number_is_done_once_and_results_are_in_order(count, threads):
    done = []
    assert each(lambda i: done.append(i) or 2 * i, count, threads) == [2 * i for i in range(count)]
    assert sorted(done) == list(range(count))


def test_an_error_is_raised_and_nothing_is_begun_after_it():
    begun = []

    def work(i):
        begun.append(i)
        if i == 3:
            raise ValueError("agent 3")

    with pytest.raises(ValueError, match="agent 3"):
        each(work, 100, 1)
    assert begun == [0, 1, 2, 3]


def test_ctrl_c_waits_for_nothing_that_was_begun():
    begun, go_on = [], threading.Event()
    threading.Timer(0.2, signal.pthread_kill, (threading.get_ident(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        each(lambda i: begun.append(i) or go_on.wait(60), 10, 2)
    assert time.monotonic() - start < 30
    go_on.set()
    assert sorted(begun) == [0, 1]
