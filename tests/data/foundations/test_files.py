"""Promise: a file is written whole or not at all, comes back as it was, and is refused where it did not."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
from helpers import small_pendulum

import hanq
from hanq.data.dataset import DIMS
from hanq.data.foundations import records

every_kind = pytest.mark.parametrize("kind", ["dataset", "run"])


def test_a_dataset_comes_back_as_it_was(tmp_path):
    data = small_pendulum().sel([2, 0])
    data.save(tmp_path / "folder" / "data.nc")  # folders are made
    back = hanq.load_dataset(tmp_path / "folder" / "data.nc")
    for name in (*DIMS, "seeds"):
        ours, theirs = getattr(data, name), getattr(back, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    for name in ("environment", "action_count", "provenance", "digest", "size"):
        assert getattr(back, name) == getattr(data, name)


def test_a_dataset_without_environment_comes_back_as_it_was(tmp_path):
    with pytest.warns(UserWarning, match=r"actions never logged: \[2, 3\] of 4"):
        data = hanq.Dataset.from_arrays(np.eye(2), [0, 1], [0, 1], np.eye(2), [0, 1], action_count=4, seeds=[7])
    data.save(tmp_path / "data.nc")
    back = hanq.load_dataset(str(tmp_path / "data.nc"))
    assert back.environment is None and back.action_count == 4 and back.seeds.tolist() == [7]


def test_a_run_comes_back_as_it_was(tmp_path, run):
    run.save(tmp_path / "run.nc")
    back = hanq.load_run(tmp_path / "run.nc")
    xarray.testing.assert_identical(back.curves, run.curves)
    assert back.curves.attrs == run.curves.attrs
    xarray.testing.assert_identical(back.parameters, run.parameters)
    assert back.network == run.network and back.algorithm == run.algorithm
    observations = np.random.default_rng(0).normal(size=(5, 3))
    for rate in (1e-2, 1e-3):
        ours, theirs = (each.policy(seed=1, learning_rate=rate)(observations) for each in (run, back))
        assert (ours == theirs).all()


def test_a_run_that_was_saved_before_algorithms_had_more_fields_loads_with_their_defaults(tmp_path, run):
    later = {"norm_affine", "detached_predictor", "rate_first", "rate_form", "hyper_beta_2", "hyper_second_moment"}
    network = asdict(run.network)
    assert later <= network["algorithm"].keys()
    network["algorithm"] = {name: value for name, value in network["algorithm"].items() if name not in later}
    data = run.curves.assign(parameters=run.parameters)
    records.save(data.assign_attrs(kind="run", network=json.dumps(network)), tmp_path / "run.nc")
    back = hanq.load_run(tmp_path / "run.nc")
    assert back.algorithm == run.algorithm and asdict(back.algorithm) == asdict(run.algorithm)


def test_curves_with_nan_come_back_as_they_were(tmp_path, run):
    changed = hanq.Run(run.network, run.curves.assign(score=run.curves.score * np.nan), run.parameters)
    changed.save(tmp_path / "run.nc")
    xarray.testing.assert_identical(hanq.load_run(tmp_path / "run.nc").curves, changed.curves)


@every_kind
def test_saving_twice_gives_equal_values(tmp_path, kinds, kind):
    saved, load = kinds[kind]
    saved.save(tmp_path / "one")
    load(tmp_path / "one").save(tmp_path / "two")
    one, two = (records.load(tmp_path / name) for name in ("one", "two"))
    xarray.testing.assert_identical(one, two)


def test_a_file_of_another_kind_is_refused_by_name(tmp_path, kinds):
    for kind, (saved, _) in kinds.items():
        saved.save(tmp_path / f"{kind}.nc")
    with pytest.raises(ValueError, match=r"run\.nc.* holds no dataset but a run"):
        hanq.load_dataset(tmp_path / "run.nc")
    with pytest.raises(ValueError, match=r"dataset\.nc.* holds no run but a dataset"):
        hanq.load_run(tmp_path / "dataset.nc")
    records.save(xarray.Dataset({"x": ("i", [1.0])}), tmp_path / "other.nc")
    (tmp_path / "text.nc").write_text("this is no netCDF file")
    xarray.Dataset({"x": ("i", [1.0])}).to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    for load in (hanq.load_dataset, hanq.load_run):
        for name in ("other.nc", "text.nc", "foreign.nc"):
            with pytest.raises(ValueError, match=name):
                load(tmp_path / name)
        with pytest.raises(FileNotFoundError, match=r"nowhere\.nc"):
            load(tmp_path / "nowhere.nc")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, kinds):
    path = tmp_path / "data.nc"
    saved, load = kinds["dataset"]
    saved.save(path)
    before = path.read_bytes()

    def broken(self, content):
        with open(self, "wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OSError, match="disk full"):
        saved.sel([0]).save(path)
    assert path.read_bytes() == before and load(path).seeds.tolist() == [0, 1, 2, 3]
    assert [each.name for each in tmp_path.iterdir()] == ["data.nc"]


FULL_DISK = """
import resource, sys, numpy, xarray
from hanq.data.foundations import records
data = xarray.Dataset({str(i): ("x", numpy.random.default_rng(i).normal(size=1_000)) for i in range(9)})
for size in (0, 100, 3_000, 10_000, 30_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))  # no file may be larger
    try:
        records.save(data, sys.argv[1])
    except OSError as error:
        print(error.errno)
"""


def test_a_full_disk_is_an_error_that_the_process_survives(tmp_path):
    """HDF5, where it writes to the disk itself, ends the process at some sizes."""
    environment = os.environ | {"PYTHONPATH": str(Path(hanq.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path / "data.nc"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["27"] * 5, "")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_a_file_is_written_comes_after_it(tmp_path, monkeypatch, kinds):
    """Raised within HDF5, the exception may be dropped."""
    saved, _load = kinds["dataset"]
    write = xarray.Dataset.to_netcdf

    def interrupted(self, *given, **options):
        signal.raise_signal(signal.SIGINT)
        written.append(True)
        return write(self, *given, **options)

    written, before = [], signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(xarray.Dataset, "to_netcdf", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saved.save(tmp_path / "data.nc")
    assert written and signal.getsignal(signal.SIGINT) is before
    assert not list(tmp_path.iterdir())


@every_kind
def test_a_file_says_where_it_comes_from(tmp_path, kinds, kind):
    saved, _ = kinds[kind]
    saved.save(tmp_path / "file")
    found = records.load(tmp_path / "file").attrs
    origin = found["provenance"] if kind == "dataset" else str(found)
    for key in ("command", "commit", "versions", "machine", "date"):
        assert key in origin


def test_large_variables_are_compressed_and_small_ones_are_not(tmp_path):
    data = xarray.Dataset({"small": ("x", np.zeros(512)), "large": ("y", np.zeros(513))})
    records.save(data, tmp_path / "file")
    with h5py.File(tmp_path / "file") as file:
        assert file["small"].compression is None and file["large"].compression == "gzip"
