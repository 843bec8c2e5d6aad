"""Promise: a damaged file, or one that reaches elsewhere, is refused by its name, whichever loader it is given to."""

import os
import random
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from fuzz import fault, report
from helper import FULL, SCENARIOS

import hanq
from hanq.atari import frames
from hanq.data.foundations import records
from hanq.engines import checkpoint
from hanq.reproduction import protocol
from hanq.reproduction.tuning import Tuning

INPUTS = 4_000 if FULL else 300

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """{kind: (file, how it is loaded)}, one of each kind."""
    folder = tmp_path_factory.mktemp("saved")
    hanq.collect("Pendulum", [0, 1], size=300).save(folder / "dataset.nc")
    data = hanq.load_dataset(folder / "dataset.nc")
    hanq.train(
        hanq.SSAQ,
        data,
        learning_rate=1e-2,
        hyper_lr=0.1,
        gradient_steps=4,
        eval_every=2,
        eval_episodes=1,
        engine="torch",
        checkpoint=folder / "checkpoint",
        progress=False,
    ).save(folder / "run.nc")
    frames.collect(folder, [1, 2], 1_200, progress=False)
    (folder / "tuning").mkdir()
    SCENARIOS["tuning"](folder / "tuning")
    tuned = min((folder / "tuning").rglob("*tuning.nc"))
    index = min(folder.glob("seaquest-*.nc"))
    return {
        "dataset": (folder / "dataset.nc", hanq.load_dataset),
        "run": (folder / "run.nc", hanq.load_run),
        "checkpoint": (folder / "checkpoint", lambda path: checkpoint.load(path, {})),
        "tuning": (tuned, search_of(tuned)),
        "result": (tuned.with_name(tuned.name.replace("-tuning", "")), records.load),
        "frames": (index, frames.load),
        "pictures": (index.with_suffix(".frames"), lambda path: frames.load(path.with_suffix(".nc"))),
    }


def search_of(tuned):
    """How the search in a file is taken up again: as the one that made it."""
    (row,) = [
        job.row for job in protocol.jobs("table3", "Pendulum") if f"{tuned.parent.name}-{tuned.name}" == f"{job.name}-quick-tuning.nc"
    ]
    _, first, second, finalists, _ = protocol.QUICK_TUNED
    return lambda path: Tuning(path, row.algorithms, row.settings, first, second, finalists, None)


def damaged(chance, whole):
    """Bytes after some of them were flipped, cut out, cut off, written over or put in."""
    changed, place = bytearray(whole), chance.randrange(len(whole))
    if chance.random() < 0.4:
        place %= 4_096  # headers
    kind, length = chance.randrange(6), chance.choice([1, 1, 8, 100, 5_000])
    if kind < 2:
        changed[place] ^= 1 << chance.randrange(8)
    elif kind == 2:
        del changed[place:]
    elif kind == 3:
        del changed[place : place + length]
    elif kind == 4:
        changed[place:place] = chance.randbytes(length)
    else:
        changed[place : place + 8] = chance.choice([b"\xff" * 8, (2**40).to_bytes(8, "little"), bytes(8)])
    return bytes(changed)


def test_damaged_files_are_refused_by_name_or_read_as_they_were(tmp_path, saved, record_property):
    chance, faults = random.Random(1), []
    for kind, (path, _) in saved.items():
        shutil.copytree(path.parent, tmp_path / kind)
    for _ in range(INPUTS):
        kind = chance.choice(list(saved))
        original, load = saved[kind]
        path, whole = tmp_path / kind / original.name, original.read_bytes()
        path.write_bytes(damaged(chance, whole))
        what = fault(lambda: load(path))
        if what:
            kept = shutil.copy(path, Path(os.environ.get("FAULTS_KEEP", tmp_path)) / f"{len(faults)}{path.suffix}")
            faults.append((f"{kind}: {what}", kept))
        path.write_bytes(whole)
    report(faults, INPUTS, record_property)


def huge(file, name):
    file.create_dataset("huge", (2**28,), "f8", chunks=(1024,), compression="gzip")


def external_link(file, name):
    del file[name]
    file[name] = h5py.ExternalLink("other.nc", name)


def soft_link(file, name):
    file.move(name, "moved")
    file[name] = h5py.SoftLink("/moved")


def broken_link(file, name):
    file["nowhere"] = h5py.SoftLink("/nowhere")


def virtual(file, name):
    source = h5py.VirtualSource("other.nc", name, file[name].shape, file[name].dtype)
    layout = h5py.VirtualLayout(source.shape, source.dtype)
    layout[...] = source
    del file[name]
    file.create_virtual_dataset(name, layout)


def external_storage(file, name):
    values = file[name][...]
    del file[name]
    file.create_dataset(name, values.shape, values.dtype, external=[("other.raw", 0, values.nbytes)])


def group(file, name):
    file.create_group("more")["x"] = 1.0


def compound(file, name):
    file["pair"] = np.zeros(2, [("x", "f8"), ("y", "i4")])


def references(file, name):
    file.create_dataset("refs", (2,), h5py.ref_dtype)[0] = file[name].ref


@pytest.mark.parametrize("kind", ["dataset", "run", "tuning", "result", "frames"])
@pytest.mark.parametrize("change", [huge, external_link, soft_link, broken_link, virtual, external_storage, group, compound, references])
def test_a_file_that_reaches_elsewhere_or_promises_more_than_it_holds_is_refused(tmp_path, saved, record_property, kind, change):
    original, load = saved[kind]
    shutil.copytree(original.parent, tmp_path / "copy")
    path = tmp_path / "copy" / original.name
    shutil.copy(path, path.with_name("other.nc"))
    path.with_name("other.raw").write_bytes(bytes(2**20))
    with h5py.File(path, "r+") as file:
        change(file, next(name for name in ("msbe", "score", "rewards") if name in file))
    record_property("inputs fuzzed", 1)
    with pytest.raises(ValueError, match=rf"{re.escape(path.name)}.*(elsewhere|another file|no array|promises)"):
        load(path)
