"""Promise: work that is stopped at any moment, by anything, goes on to the same files, and leaves nothing else."""

import os
import random
import resource
import signal
import time

import pytest
from helper import COLD, FULL, SCENARIOS, WARM, content, contents, left_running, start

KILLS = {"train": 250, "reproduce": 200, "tuning": 200, "collect": 100, "frames": 100, "seaquest": 150}
SMALL = 6  # kills of each in `make test`
SIGNALS = {signal.SIGKILL: 6, signal.SIGTERM: 2, signal.SIGINT: 2}
DISKS = ("full", "read-only")
FAILED = {-signal.SIGKILL, -signal.SIGTERM, 1, 2, 130}  # how a process may end that was stopped
PATIENCE = 600  # seconds for a process that nobody kills; it may have to compile


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_killed_at_random_moments_goes_on_to_the_same_files(tmp_path, record_property, name):
    for folder in ("first", "undisturbed"):  # the first fills Numba's cache: the second is like all that follow
        seconds = undisturbed(name, tmp_path / folder)
    killed = Killed(name, tmp_path, seconds, WARM)
    while killed.kills < (KILLS[name] if FULL else SMALL):
        killed.until_it_finishes(KILLS[name] if FULL else SMALL)
    killed.record(record_property)


@pytest.mark.skipif(not FULL, reason="compiles for minutes")
def test_what_is_killed_while_it_compiles_goes_on_to_the_same_files(tmp_path, record_property, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    seconds = undisturbed("train", tmp_path / "undisturbed", COLD)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache of the killed"))
    killed = Killed("train", tmp_path, seconds, COLD)
    killed.until_it_finishes(4)
    killed.record(record_property)


def undisturbed(name, folder, context=WARM):
    """The seconds that a scenario takes by itself."""
    folder.mkdir()
    begin = time.monotonic()
    process = start(name, folder, folder.with_suffix(".log"), context)
    ended(process)
    assert process.exitcode in (0, None), folder.with_suffix(".log.err").read_text()
    return time.monotonic() - begin


def ended(process):
    """Wait for a process to end by itself."""
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"it still runs after {PATIENCE} seconds")


class Killed:
    """One scenario killed again and again, and the figures of that."""

    def __init__(self, name, folder, seconds, context):
        self.name, self.folder, self.seconds, self.context = name, folder, seconds, context
        self.expected = contents(folder / "undisturbed")
        assert not [each for each in self.expected if each.endswith(".partial")]
        self.random = random.Random(name)
        self.kills = self.starts = self.compared = 0

    def until_it_finishes(self, most):
        """Kill and start again in a new folder until the work is done; no more kills than `most` altogether."""
        work = self.folder / f"from start {self.starts + 1}"
        work.mkdir()
        finished, saved = {}, {}
        while True:
            self.starts += 1
            log = self.folder / f"start {self.starts}"
            process = start(self.name, work, log, self.context)
            if self.kills < most:
                process.join(self.random.uniform(0, self.seconds))
                if process.is_alive():
                    self.stop(process, work)
            ended(process)
            assert not left_running(process.pid), "it left a process behind"
            nothing_saved_is_trained_again(log, saved)
            self.nothing_finished_is_made_again(work, finished)
            if process.exitcode == 0:
                break
            assert process.exitcode in FAILED, f"exit status {process.exitcode}: {messages(log)}"
        found = contents(work)
        self.compared += len(found)
        assert found == self.expected

    def stop(self, process, work):
        """By a signal, or by a disk on which no more can be written until the process has ended."""
        self.kills += 1
        if self.random.random() < 0.8:
            (kind,) = self.random.choices(list(SIGNALS), SIGNALS.values())
            os.kill(process.pid, kind)
            return
        kind = self.random.choice(DISKS)
        folders = [work, *(each for each in work.rglob("*") if each.is_dir())]
        if kind == "full":
            size = self.random.randrange(20_000)  # no file may grow beyond
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        else:
            for each in folders:
                each.chmod(0o555)
        ended(process)
        for each in folders:
            each.chmod(0o755)

    def nothing_finished_is_made_again(self, work, finished):
        """finished: when each file was written, by name, that is as it will remain."""
        for path in work.rglob("*.nc"):
            name = str(path.relative_to(work))
            written = path.stat().st_mtime_ns
            assert finished.get(name, written) == written, f"{name} was finished, and was made again"
            if content(path) == self.expected[name]:
                finished[name] = written

    def record(self, record_property):
        record_property("kills made", self.kills)
        record_property("restarts", self.starts - 1)
        record_property("files compared", self.compared)


def nothing_saved_is_trained_again(log, saved):
    """saved: the gradient step of each checkpoint, by name."""
    for line in log.read_text().splitlines() if log.exists() else []:
        word, name, gradient_step = line.split()
        if word == "started":
            assert int(gradient_step) >= saved.get(name, 0), f"{name} was saved at step {saved[name]}, and was trained again from there"
        else:
            saved[name] = int(gradient_step)


def messages(log):
    path = log.with_name(f"{log.name}.err")
    return path.read_text() if path.exists() else ""
