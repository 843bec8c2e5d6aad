"""Promise: files are written whole or not at all, and killed writers leave nothing that stays."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from helpers import CHILD, names, numbers

from hanq.data.foundations import files, records


def test_threads_that_save_one_path_all_succeed(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(records.save, numbers(i), tmp_path / "x.nc") for i in range(100)]:
            done.result()
    assert len(np.unique(records.load(tmp_path / "x.nc").x)) == 1
    assert names(tmp_path) == ["x.nc"]


def test_writers_with_one_process_number_write_to_different_files(tmp_path, monkeypatch):
    """As in two containers that share a volume."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    partials = set()
    for _ in range(2):
        with files.atomic(tmp_path / "x") as partial:
            partials.add(partial.name)
            partial.write_text("")
    assert len(partials) == 2


WRITER = """
import sys, time
from hanq.data.foundations.files import atomic
with atomic(sys.argv[1]) as partial:
    partial.write_text("half")
    print(partial, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_writer_leaves_is_removed_by_the_next_and_only_that(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / "x.nc"], **CHILD)
    left = Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()
    assert left.exists()
    others = ["x.nc.nc.0123456789abcdef.partial", "x.nc.1.partial", "x.nc.checkpoint", "ax.nc.0123456789abcdef.partial"]
    for name in others:
        (tmp_path / name).write_text("another's")
    records.save(numbers(), tmp_path / "x.nc")
    assert names(tmp_path) == sorted([*others, "x.nc"])


def test_a_writer_that_is_killed_once_its_file_is_there_leaves_nothing(tmp_path):
    kill = "import os, signal; kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    killed = f"import atomic\nfrom hanq.data.foundations import files\n{kill}; files._flush_folder = kill"
    program = WRITER.replace("import atomic", killed).replace("time.sleep(600)", "pass")
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "x.nc"], timeout=60, stdout=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGKILL and names(tmp_path) == ["x.nc"]


def test_what_a_live_writer_writes_is_left_to_it(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / "x.nc"], **CHILD)
    live = Path(process.stdout.readline().strip())
    other = threading.Thread(target=records.save, args=(numbers(), tmp_path / "x.nc"))
    other.start()
    time.sleep(0.3)
    assert live.exists() and other.is_alive() and not (tmp_path / "x.nc").exists()  # it waits
    process.kill()
    process.communicate()
    other.join(10)
    assert names(tmp_path) == ["x.nc"]


def test_what_is_written_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    """And is open for writing meanwhile, without which Windows refuses; then its folder follows."""
    import fcntl

    flushed = []

    def fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        flushed.append((is_folder, (tmp_path / "x").exists()))
        assert is_folder or fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR

    monkeypatch.setattr(os, "fsync", fsync)
    with files.atomic(tmp_path / "x") as partial:
        partial.write_text("")
    assert flushed == [(False, False), (True, True)]
