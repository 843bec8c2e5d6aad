"""Promise: a file that was cut short, changed or exchanged is refused, and nothing is made of it."""

import h5py
import numpy as np
import pytest
import xarray

from hanq.data.foundations import records

every_kind = pytest.mark.parametrize("kind", ["dataset", "run"])


@every_kind
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, kinds, kind, share):
    saved, load = kinds[kind]
    path = tmp_path / "short.nc"
    saved.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="short.nc"):
        load(path)


@pytest.mark.filterwarnings("ignore:Exception ignored in.*File.close:pytest.PytestUnraisableExceptionWarning")  # h5netcdf's own
def test_a_flipped_byte_anywhere_is_refused_or_changes_nothing(tmp_path, kinds):
    saved, load = kinds["dataset"]
    path = tmp_path / "flipped.nc"
    saved.save(path)
    whole, refused = path.read_bytes(), 0
    original = records.load(path)
    for place in np.random.default_rng(0).integers(len(whole), size=25):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        try:
            load(path)
        except ValueError as error:
            assert "flipped.nc" in str(error)
            refused += 1
        else:  # padding between the file's blocks, which no value is read from
            xarray.testing.assert_identical(records.load(path), original)
    assert refused > 10


def test_hdf5_never_sees_a_damaged_file(tmp_path, monkeypatch, kinds):
    """It may read for ever: a bit of a dimension's list of variables is enough."""
    saved, load = kinds["dataset"]
    path = tmp_path / "flipped.nc"
    saved.save(path)
    whole = path.read_bytes()
    monkeypatch.setattr(records, "check_layout", lambda path: pytest.fail("HDF5 was about to read it"))
    for place in np.random.default_rng(0).integers(len(whole) - 100, size=25):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"flipped\.nc.* checksum"):
            load(path)


def edit_value(path):
    with h5py.File(path, "r+") as file:
        name = "rewards" if "rewards" in file else "parameters"
        file[name][(0,) * file[name].ndim] += 1


def edit_coordinate(path):
    with h5py.File(path, "r+") as file:
        file["seed"][0] = 77


def edit_attribute(path):
    with h5py.File(path, "r+") as file:
        file.attrs["environment"] = "Acrobot"


def rewrite_with_xarray(path):
    with xarray.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as opened:
        data = opened.load()
    name = "terminated" if "terminated" in data else "score"
    data[name] = ~data[name] if name == "terminated" else data[name] + 1
    data.to_netcdf(path, engine="h5netcdf")


def drop_a_variable(path):
    with xarray.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as opened:
        data = opened.load()
    data.drop_vars("rewards" if "rewards" in data else "msbe").to_netcdf(path, engine="h5netcdf")


@every_kind
@pytest.mark.parametrize("edit", [edit_value, edit_coordinate, edit_attribute, rewrite_with_xarray, drop_a_variable])
def test_an_edited_file_is_refused(tmp_path, kinds, kind, edit):
    saved, load = kinds[kind]
    path = tmp_path / "edited.nc"
    saved.save(path)
    load(path)
    edit(path)
    with pytest.raises(ValueError, match=r"edited\.nc.* checksum: it was edited"):
        load(path)
