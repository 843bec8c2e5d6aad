"""The file format for results and datasets: compressed netCDF with provenance and checksums, never pickled.

A file holds one labelled xarray.Dataset. Its attributes say where it comes from and include a checksum of its
contents, which is verified on loading.
"""

import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import xarray

from hanq.data.foundations.files import as_path, atomic

CHECKSUM = "sha256"
ENDING = b"sha256 of all before:"  # then 64 digits, after the part that HDF5 reads; HDF5 can hang on a damaged file
EDITED = "path={path!r} does not match its own checksum: it was edited or damaged"
MOST_COMPRESSED = 1_032  # zlib compresses at most this many bytes into one


@contextmanager
def interrupts_later():
    """Postpone Ctrl-C until the end of the block: inside an HDF5 callback, Python would drop the exception."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    caught = []
    signal.signal(signal.SIGINT, lambda *_: caught.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if caught:
            signal.raise_signal(signal.SIGINT)


def digest(data):
    """SHA-256 of an xarray.Dataset: its names, dimensions, types, values and attributes."""
    sha = hashlib.sha256()
    for name in sorted(data.variables):
        variable = data.variables[name]
        values = np.asarray(variable.values)
        if values.dtype.kind not in "biuf":  # text, whose padded width in memory must not count
            values = np.array(json.dumps(values.tolist()).encode())
        else:
            values = np.ascontiguousarray(values)
        sha.update(repr((name, variable.dims, values.shape, values.dtype.str)).encode())
        sha.update(values.tobytes())
    attributes = {key: plain(value) for key, value in data.attrs.items()}
    sha.update(json.dumps(attributes, sort_keys=True).encode())
    return sha.hexdigest()


def plain(value):
    """Convert an attribute that netCDF returned as a NumPy value to a plain Python value."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def save(data, path):
    """Write an xarray.Dataset to one compressed netCDF file, atomically."""
    data = data.assign_attrs({CHECKSUM: digest(data)})
    compressed = {"zlib": True, "complevel": 5, "shuffle": True}  # costs an index of about 4 kB, so not for small variables
    encoding = {name: {"_FillValue": None} | (compressed if data[name].nbytes > 4096 else {}) for name in data.variables}
    with interrupts_later():
        written = data.to_netcdf(engine="h5netcdf", encoding=encoding)  # in memory, because HDF5 can crash on a full disk
    with atomic(path) as partial:
        partial.write_bytes(bytes(written) + ENDING + hashlib.sha256(written).hexdigest().encode())


def load(path):
    """Read a file written by `save`. Raises ValueError, naming the file, if it is truncated, damaged or was edited."""
    path = as_path("path", path)
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r} does not exist")
    check_ending(path)
    try:
        check_layout(path)
        with interrupts_later(), xarray.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as opened:
            data = opened.load()
    except Exception as error:  # OSError, KeyError or RuntimeError, depending on where the file breaks off
        raise ValueError(f"path={str(path)!r} is not a readable netCDF file: truncated or damaged ({error})") from error
    data.attrs = {key: plain(value) for key, value in data.attrs.items()}
    stored = data.attrs.pop(CHECKSUM, None)
    if stored != digest(data):
        raise ValueError(EDITED.format(path=str(path)))
    return data


def check_ending(path):
    """Verify the checksum at the end of a file, if there is one: files of earlier versions have none. Raises ValueError."""
    size = max(0, path.stat().st_size - len(ENDING) - 64)
    with open(path, "rb") as file:
        file.seek(size)
        ending, found = file.read(), hashlib.sha256()
        if ENDING not in ending:
            return
        file.seek(0)
        while part := file.read(min(2**20, size - file.tell())):
            found.update(part)
    if ending != ENDING + found.hexdigest().encode():
        raise ValueError(EDITED.format(path=str(path)))


def check_layout(path):
    """Check, before any values are read, that a netCDF file refers to no other file and declares no more data than it can hold.

    Raises ValueError.
    """
    with h5py.File(path) as file:
        promised = 0
        for name in file:
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name!r} is a link to elsewhere")
            array = file[name]
            if not isinstance(array, h5py.Dataset) or array.dtype.kind not in "biufSO" or h5py.check_ref_dtype(array.dtype):
                raise ValueError(f"{name!r} is no array of numbers or texts")
            if array.is_virtual or array.external:
                raise ValueError(f"the values of {name!r} lie in another file")
            promised += array.nbytes
    size = path.stat().st_size
    if promised > MOST_COMPRESSED * size:
        raise ValueError(f"it promises {promised:,} bytes, more than its {size:,} can hold")


def provenance():
    """Return where a result comes from: command, commit, versions, machine and date."""
    packages = ("torch", "numpy", "numba", "gymnasium", "xarray")
    program = Path(sys.argv[0])
    names = {"__main__.py": f"python -m {program.parent.name}", "hanq": "hanq", "hanq.exe": "hanq"}
    return {
        "command": " ".join([names.get(program.name, f"python {program.name}"), *map(portable, sys.argv[1:])]),
        "commit": commit(),
        "python": platform.python_version(),
        "versions": json.dumps({package: version(package) for package in packages}),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def portable(argument):
    """Strip this machine's folders from a command-line argument.

    A path inside the repository becomes relative to it; of any other absolute path only the name is kept.
    """
    option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
    path = Path(os.path.expanduser(value))
    if not path.is_absolute():
        return argument
    if path == Path(os.path.expanduser("~")):
        return f"{option}{equals}~"
    path, repository = path.resolve(), Path(__file__).resolve().parents[3]
    inside = path.is_relative_to(repository)
    return option + equals + (path.relative_to(repository).as_posix() if inside else path.name or "root")


def commit():
    """Return the commit of the checkout, with `+changes` appended if the package was edited since; `unknown` outside git."""
    package = Path(__file__).parents[2]
    git = ["git", "-C", str(package)]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=True)
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        status = subprocess.run([*git, "status", "--porcelain", str(package)], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+changes" if status.stdout.strip() else "")


def processor():
    """Return the name of the processor, as precisely as the operating system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
