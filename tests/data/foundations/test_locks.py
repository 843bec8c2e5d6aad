"""Promise: one run at a time has a checkpoint, a search, a result or a folder, and killed runs leave no locks."""

import errno
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import CHILD, DQN, TORCH, names, numbers, small_pendulum

import hanq
from hanq.__main__ import main
from hanq.atari import frames, game
from hanq.data.foundations import files, records
from hanq.reproduction import pipeline
from hanq.reproduction.tuning import Round, Tuning

SMALL = dict(learning_rate=1e-2, gradient_steps=4, eval_every=2, eval_episodes=1, batch_size=8) | TORCH


def test_lock_files_of_killed_runs_go_and_held_ones_stay(tmp_path, hold):
    process = hold(tmp_path / "killed.nc")
    process.kill()
    process.wait()
    hold(tmp_path / "held.nc")
    assert len(names(tmp_path)) == 2
    files.clear_locks(tmp_path)
    assert names(tmp_path) == ["held.nc.lock"]


def test_lock_files_of_other_programs_stay(tmp_path):
    for name, text in {"uv.lock": "version = 1", "poetry.lock": "", "notes.nc.lock": "mine"}.items():
        (tmp_path / name).write_text(text)
    hanq.collect("Pendulum", [0], size=20, folder=tmp_path)
    assert names(tmp_path) == ["Pendulum-0-20.nc", "notes.nc.lock", "poetry.lock", "uv.lock"]


def test_a_run_that_clears_locks_away_makes_no_other_believe_that_its_file_is_in_use(tmp_path):
    stop = threading.Event()

    def sweep():
        while not stop.is_set():
            files.clear_locks(tmp_path)

    thread = threading.Thread(target=sweep)
    thread.start()
    for _ in range(300):
        with files.locked("checkpoint", tmp_path / "mine.checkpoint"):
            pass
    stop.set()
    thread.join()


HOLDER = """
import sys, time
from hanq.data.foundations.files import locked
with locked("path", sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def hold():
    """Have another process hold a path's lock."""
    processes = []

    def start(path):
        processes.append(subprocess.Popen([sys.executable, "-c", HOLDER, path], **CHILD))
        assert processes[-1].stdout.readline() == "held\n"
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_second_run_on_a_checkpoint_is_refused_by_name_until_the_first_is_gone(tmp_path, hold):
    process = hold(tmp_path / "c")
    with pytest.raises(ValueError, match=r"checkpoint='.*/c' is in use by another run"):
        hanq.train(DQN, small_pendulum(), checkpoint=tmp_path / "c", **SMALL)
    process.send_signal(signal.SIGKILL)
    process.wait()
    hanq.train(DQN, small_pendulum(), checkpoint=tmp_path / "c", **SMALL)
    assert names(tmp_path) == ["c"]


def test_runs_in_one_process_refuse_each_other_too(tmp_path):
    with files.locked("checkpoint", tmp_path / "c"), pytest.raises(ValueError, match="in use"):
        hanq.train(DQN, small_pendulum(), checkpoint=tmp_path / "c", **SMALL)
    assert names(tmp_path) == []


def test_a_lock_that_was_released_while_another_waited_is_taken_by_one_only(tmp_path):
    """The file goes with the lock: who waited for one that is gone has to look again."""
    inside, most = [0], [0]

    def enter(_):
        with files.locked("path", tmp_path / "x", wait=True):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.001)
            inside[0] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(200)))
    assert most == [1] and names(tmp_path) == []


def test_a_search_that_another_run_is_at_is_refused(tmp_path, hold):
    hold(tmp_path / "tuning.nc")
    round = Round(range(2), 4, 2)
    with pytest.raises(ValueError, match=r"tuning\.nc' is in use by another run"):
        Tuning(tmp_path / "tuning.nc", [DQN], dict(learning_rate=[1e-2]), round, round, 1, lambda *_: 1 / 0).best()


def test_a_result_that_another_run_is_making_is_waited_for_and_then_taken(tmp_path, hold, monkeypatch, capfd):
    monkeypatch.setattr(files, "SILENT_SECONDS", 0.0)
    (tmp_path / "one").mkdir()
    (path,) = pipeline.reproduce("fig7", tmp_path / "one", quick=True, engine="torch")
    other = tmp_path / "two" / "fig7" / path.name
    process = hold(other)
    monkeypatch.setattr(pipeline, "train", lambda *_, **__: 1 / 0)

    def finish():
        time.sleep(0.5)
        other.write_bytes(path.read_bytes())
        process.kill()

    thread = threading.Thread(target=finish)
    thread.start()
    assert pipeline.reproduce("fig7", tmp_path / "two", quick=True, engine="torch") == [other]
    thread.join()
    assert "waiting for another run that has" in capfd.readouterr().err and names(other.parent) == [path.name]


def test_frames_that_another_run_collects_are_waited_for(tmp_path, hold, monkeypatch):
    frames.collect(tmp_path / "one", [3], 20, progress=False)
    (tmp_path / "two").mkdir()
    process = hold(tmp_path / "two" / "seaquest-3-20.nc")
    monkeypatch.setattr(game, "make", lambda *_: 1 / 0)

    def finish():
        time.sleep(0.5)
        for path in (tmp_path / "one").iterdir():
            (tmp_path / "two" / path.name).write_bytes(path.read_bytes())
        process.kill()

    thread = threading.Thread(target=finish)
    thread.start()
    assert frames.collect(tmp_path / "two", [3], 20, progress=False).size == 20
    thread.join()


@pytest.mark.parametrize(
    ("command", "held"),
    [
        ("seaquest --algorithm HANQ --learning-rate 1e-4 --out", "HANQ-learning_rate=0.0001-seed=0.nc"),
        ("table5 --row HANQ DQN --learning-rate 1e-4 --work FOLDER --out", "seaquest/DQN.nc"),
    ],
)
def test_a_second_command_on_a_folder_is_refused_before_anything_is_collected(tmp_path, hold, capsys, command, held):
    hold(tmp_path / held)
    with pytest.raises(SystemExit, match="2"):
        main([*command.replace("FOLDER", str(tmp_path)).split(), str(tmp_path)])
    assert f"{held}' is in use by another run" in capsys.readouterr().err
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")] == [f"{held}.lock"]


def test_without_locks_files_are_still_written_and_a_run_says_so(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    left = tmp_path / "c.0123456789abcdef.partial"
    left.write_text("perhaps of a live writer")
    with pytest.warns(UserWarning, match="checkpoint=.*cannot be locked"):
        hanq.train(DQN, small_pendulum(), checkpoint=tmp_path / "c", **SMALL)
    assert names(tmp_path) == ["c", left.name]


class WindowsLocks:
    """`msvcrt` as far as it is used, on what this system has."""

    LK_NBLCK = 2

    @staticmethod
    def locking(descriptor, mode, count):
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(errno.EACCES, "Permission denied") from error


def test_windows_locks_do_as_well(tmp_path, monkeypatch):
    for name, value in dict(fcntl=None, msvcrt=WindowsLocks, HELD=PermissionError).items():
        monkeypatch.setattr(files, name, value, raising=False)
    with files.locked("path", tmp_path / "x"), pytest.raises(ValueError, match="in use"), files.locked("path", tmp_path / "x"):
        pass
    records.save(numbers(), tmp_path / "x")
    assert names(tmp_path) == ["x"]


def test_the_package_can_be_imported_where_there_is_no_fcntl():
    without = "sys.modules |= dict(fcntl=None, msvcrt=sys)"
    code = f"import importlib, sys, hanq.data.foundations.files as f; {without}; print(importlib.reload(f).fcntl)"
    assert subprocess.run([sys.executable, "-c", code], check=True, **CHILD).stdout == "None\n"
