"""Paths from users, atomic writes, and locks that keep two runs from writing the same file."""

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
PATIENCE_SECONDS = 0.2  # before a lock counts as another run's: a run that clears locks away holds each for a moment
OURS = (".nc.lock", ".checkpoint.lock", ".partial.lock")  # the endings of the lock files that `clear_locks` may remove


def as_path(name, value):
    """Convert an argument to a Path and expand `~`. Raises TypeError or ValueError, naming the argument, if that fails."""
    if isinstance(value, str) and (not value or "\0" in value):
        raise ValueError(f"{name}={value!r} is no path: use a str of at least one character, none of them 0, or a pathlib.Path")
    try:
        return Path(value).expanduser()
    except TypeError as error:
        raise TypeError(f"{name}={value!r} is not a path: use a str or a pathlib.Path") from error
    except RuntimeError as error:
        raise ValueError(f"{name}={value!r} names a home folder that is not known: write the path in full") from error


def as_file(name, value):
    """Convert an argument to the Path of a file. Raises what `as_path` does, and ValueError for "." or "..", which name none."""
    path = as_path(name, value)
    if path.name in ("", ".."):
        raise ValueError(f"{name}={str(path)!r} names no file: add the name of one")
    return path


@contextmanager
def atomic(path):
    """Yield a temporary path, which replaces `path` only if the block succeeds.

    Writers to the same folder wait for each other. Any temporary file of this path found on entry was therefore left by
    a writer that was killed, and is removed.
    """
    path = as_file("path", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Locking the folder itself leaves no lock file behind if the writer is killed. Windows cannot lock folders.
    with _held(path.parent if fcntl else path.with_name(f"{path.name}.partial.lock")) as alone:
        if alone:
            left = re.compile(re.escape(path.name) + r"\.[0-9a-f]{16}\.partial")
            for other in [other for other in path.parent.iterdir() if left.fullmatch(other.name)]:
                other.unlink()
        partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.partial")
        try:
            yield partial
            with open(partial, "r+b") as file:  # Windows only flushes files that are open for writing
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        _flush_folder(path.parent)


@contextmanager
def locked(name, path, wait=False):
    """Keep other runs away from `path` while the block runs. Yields it as a Path with `~` expanded, or None for None.

    name: the name of the argument, for error messages. The operating system releases the lock when the process ends,
    however it ends. If another run holds the lock, raises ValueError, or waits for it if `wait` is true.
    """
    if path is None:
        yield None
        return
    path = as_file(name, path)
    refusal = f"{name}={str(path)!r} is in use by another run: wait until it ends, or use another path"
    with _held(path.with_name(f"{path.name}.lock"), None if wait else refusal) as alone:
        if not alone:
            warnings.warn(f"{name}={str(path)!r} cannot be locked on this file system: let no other run use it", stacklevel=3)
        yield path


def clear_locks(folder):
    """Remove lock files that killed runs left in a folder. Locks that are held stay, and so do files that are not empty or not ours."""
    for lock in sorted(folder.glob("*.lock")):
        with suppress(ValueError, OSError):
            if lock.name.endswith(OURS) and lock.stat().st_size == 0:
                with _held(lock, "held", patience=0):
                    pass


@contextmanager
def _held(lock, refusal=None, patience=PATIENCE_SECONDS):
    """Hold a lock on a folder, or on a lock file, which is removed afterwards. Yields False if the file system has no locks.

    If another process holds the lock for longer than `patience`, raises ValueError with the message `refusal`, or waits if there is
    none.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor, alone = _acquire(lock, refusal, patience)
    try:
        yield alone
    finally:
        if fcntl:  # before the lock is released: afterwards the file may belong to another process
            _remove(lock)
        os.close(descriptor)
        if not fcntl:  # Windows refuses to remove an open file, so this cannot be another process's lock
            _remove(lock)


def _remove(lock):
    with suppress(OSError):
        if not lock.is_dir():
            lock.unlink()


def _acquire(lock, refusal, patience):
    """Open a folder or lock file and lock it. Returns its descriptor and whether the file system supports locks."""
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
            if refusal is not None and time.monotonic() - start >= patience:
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
        os.close(descriptor)  # the last holder removed the file in the meantime, so this lock protects nothing: try again


def _flush_folder(folder):
    """Flush a folder, so that a new file name survives a power failure, where the operating system allows it."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
