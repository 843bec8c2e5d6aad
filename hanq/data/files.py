"""Paths as a user gives them; files written whole or not at all, and by one run at a time."""

import os
import re
import secrets
import sys
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

HELD = BlockingIOError if fcntl else PermissionError  # what the system raises where another has a lock
POLL_SECONDS, SILENT_SECONDS = 0.01, 3.0


def as_path(name, value):
    """An argument as a Path, its `~` expanded; TypeError or ValueError names one that is no path."""
    try:
        return Path(value).expanduser()
    except TypeError as error:
        raise TypeError(f"{name}={value!r} is not a path: use a str or a pathlib.Path") from error
    except RuntimeError as error:
        raise ValueError(f"{name}={value!r} names a home folder that is not known: write the path in full") from error


@contextmanager
def atomic(path):
    """A temporary path beside `path` that takes its place only once the block has succeeded.

    Writers in one folder wait for each other, so temporary files of this path that one finds are of writers that were killed.
    """
    path = as_path("path", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder can be locked without a file that a killed writer would leave, but not on Windows.
    with _held(path.parent if fcntl else path.with_name(f"{path.name}.partial.lock")) as alone:
        if alone:
            left = re.compile(re.escape(path.name) + r"\.[0-9a-f]{16}\.partial")
            for other in [other for other in path.parent.iterdir() if left.fullmatch(other.name)]:
                other.unlink()
        partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.partial")
        try:
            yield partial
            with open(partial, "r+b") as file:  # Windows flushes only what is open for writing
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        _flush_folder(path.parent)


@contextmanager
def locked(name, path, wait=False):
    """Keep other runs from `path` while the block runs: the Path, its `~` expanded, or None for None.

    name: the argument's, for messages. The system drops the lock when the process ends, however it ends.
    Raises ValueError where another run has the path, or with `wait` waits until it has not.
    """
    if path is None:
        yield None
        return
    path = as_path(name, path)
    refusal = f"{name}={str(path)!r} is in use by another run: wait until it ends, or use another path"
    with _held(path.with_name(f"{path.name}.lock"), None if wait else refusal) as alone:
        if not alone:
            warnings.warn(f"{name}={str(path)!r} cannot be locked on this file system: let no other run use it", stacklevel=3)
        yield path


def clear_locks(folder):
    """Remove the lock files that killed runs left in a folder, but none that is held."""
    for lock in sorted(folder.glob("*.lock")):
        with suppress(ValueError, OSError), _held(lock, "held"):
            pass


@contextmanager
def _held(lock, refusal=None):
    """Hold a folder, or a lock file, which is gone afterwards; gives False where the file system has no locks.

    Where another holds it, raises ValueError with the refusal, or without one waits.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor, alone = _acquire(lock, refusal)
    try:
        yield alone
    finally:
        if fcntl:  # while it is held: afterwards it may be another's
            _remove(lock)
        os.close(descriptor)
        if not fcntl:  # Windows removes no file that is open, so never another's
            _remove(lock)


def _remove(lock):
    with suppress(OSError):
        if not lock.is_dir():
            lock.unlink()


def _acquire(lock, refusal):
    """(the open descriptor of a folder or lock file, whether it could be locked)"""
    start, told = time.monotonic(), False
    while True:
        descriptor = os.open(lock, os.O_RDONLY if lock.is_dir() else os.O_RDWR | os.O_CREAT)
        try:
            if fcntl:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except HELD:
            os.close(descriptor)
            if refusal is not None:
                raise ValueError(refusal) from None
            if not told and time.monotonic() - start > SILENT_SECONDS:
                told = True
                print(f"waiting for another run that has {lock}", file=sys.stderr, flush=True)
            time.sleep(POLL_SECONDS)
            continue
        except OSError:
            return descriptor, False
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor, True
        os.close(descriptor)  # its last holder removed it meanwhile: the name is another's or nobody's


def _flush_folder(folder):
    """Put a new name on the disk, where the system lets one flush a folder."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
