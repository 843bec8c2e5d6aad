"""Promise: whatever is given, it works or ends with one line that names it; memory and time are bounded."""

import os
import random
import re
import resource
import shutil
import signal
import traceback
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helper import FULL, SCENARIOS

import hanq
from hanq import bench, checkpoint, ledger, protocol, records, run, training, tuning
from hanq.__main__ import main
from hanq.atari import bench as atari_bench
from hanq.atari import frames

ARRAYS, FILES, COMMANDS = (4_000, 4_000, 2_000) if FULL else (300, 300, 150)
SECONDS, BYTES = 10, 2**30  # that one input may take
OURS = Path(hanq.__file__).parent
NAMED = re.compile(r"^[a-z]\w*( |=|\[)")  # "learning_rate=-1 is ...", "observations has shape ..."

pytestmark = pytest.mark.filterwarnings("ignore")


class Reached(Exception):
    """The input was accepted, and the work was about to begin."""


@contextmanager
def bounded():
    """TimeoutError after `SECONDS`; MemoryError for what asks for more than `BYTES` at once."""

    def late(*_):
        raise TimeoutError(f"no answer within {SECONDS} seconds")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, limits[1]))
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def fault(call):
    """What is wrong with how a call ended, or None: it may return, or raise an error of ours."""
    try:
        with bounded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except Reached:
        return None
    except OSError as error:
        return None if error.filename or NAMED.match(str(error)) else f"{type(error).__name__} names no file: {error}"
    except (ValueError, TypeError, KeyError) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = str(error.args[0]) if error.args else ""
        if not Path(last.filename).is_relative_to(OURS):
            return f"raw {type(error).__name__} from {last.filename}:{last.lineno}: {text[:200]}"
        if "\n" in text or not NAMED.match(text):
            return f"{type(error).__name__} does not name its argument in one line: {text[:200]!r}"
    except BaseException as error:
        return f"raw {type(error).__name__}: {str(error)[:200]}"
    return None


def report(faults, count, record_property):
    """Fail with one example of each kind of fault."""
    record_property("inputs fuzzed", count)
    kinds = {}
    for what, given in faults:
        kinds.setdefault(re.sub(r"\d+", "N", what)[:60], f"{what}\n    given {given}")
    assert not kinds, f"{len(faults)} faults of {len(kinds)} kinds:\n" + "\n".join(kinds.values())


# Arrays


def plain(generator, size=6, obs_dim=2):
    """The arguments of `from_arrays`, well formed."""
    observations = generator.normal(size=(2, size, obs_dim))
    return dict(observations=observations[0], actions=generator.integers(2, size=size), rewards=generator.normal(size=size),
                next_observations=observations[1], terminated=generator.random(size) < 0.3)  # fmt: skip


SPECIAL = [np.nan, np.inf, -np.inf, -1, 1e39, 2**24 + 1, 0.5, 2**63, -0.0, True, None, "x", 1j, b"1", {}, [], (), object()]
CONTAINERS = [list, tuple, torch.as_tensor, np.ma.masked_array, lambda a: a.astype(object), lambda a: a.tolist(), iter,
              lambda a: torch.as_tensor(a).to(torch.bfloat16), lambda a: torch.as_tensor(a, dtype=torch.float64).requires_grad_(),
              lambda a: np.ma.masked_less(a, 0), lambda a: a[..., ::-1], np.asfortranarray, lambda a: a.view(np.recarray),
              lambda a: torch.as_tensor(a).to_sparse(), lambda a: {0: a}, memoryview, lambda a: a.astype("datetime64[s]"),
              lambda a: np.array(a, dtype=[("x", float)]), lambda a: torch.as_tensor(a).to("meta")]  # fmt: skip
TYPES = ["f2", "f4", "f8", "g", "i1", "u1", "u8", "?", "c8", "U3", "S2", "O", "M8[s]", ">f4", "V4"]
SHAPES = [lambda a: a[None], lambda a: a[:0], lambda a: a[:-1], lambda a: a[..., :0], lambda a: a[0], lambda a: a.T,
          lambda a: np.stack([a, a]), lambda a: a.reshape(-1), lambda a: a[None, None], lambda a: np.repeat(a, 3, -1),
          lambda a: a.reshape(1, -1), lambda a: np.float64(a.ravel()[0])]  # fmt: skip


def put(array, value, index):
    """The array with one value put in, as whichever type holds it."""
    changed = array.astype(object if not isinstance(value, (int, float)) else np.result_type(array, type(value)))
    with suppress(OverflowError):
        changed.reshape(-1)[index % changed.size] = value
    return changed


def mutated(chance, value):
    """An array argument after one change of container, type, shape or value."""
    kind = chance.randrange(5)
    with suppress(Exception), warnings.catch_warnings():  # a change that NumPy or torch has no answer to is none
        warnings.simplefilter("ignore")
        if kind == 0:
            return chance.choice(CONTAINERS)(np.asarray(value))
        if kind == 1:
            return np.asarray(value).astype(chance.choice(TYPES))
        if kind == 2:
            return chance.choice(SHAPES)(np.asarray(value))
        if kind == 3:
            return put(np.asarray(value), chance.choice(SPECIAL), chance.randrange(99))
        return chance.choice(SPECIAL)
    return value


SETTINGS = dict(learning_rate=1e-2, hyper_lr=0.1, target_rate=0.5, discount=0.9, weight_decay=0.0, gradient_steps=2, batch_size=2,
                eval_every=1, eval_episodes=1, eval_velocity=None, seeds=None, device=None, engine="torch", checkpoint=None)  # fmt: skip
NETWORK = hanq.Algorithm(hidden_features=3)


def fuzzed_arrays(chance, generator):
    """A call of from_arrays, train or policy with one or two arguments that are not as they should be."""
    arrays, options, settings, which, seen = plain(generator), {}, dict(SETTINGS), {}, np.zeros(2)
    target = chance.choice(["arrays", "arrays", "options", "train", "policy"])
    if target == "arrays":
        for name in chance.sample(list(arrays), chance.choice([1, 1, 2])):
            arrays[name] = mutated(chance, arrays[name])
    elif target == "options":
        name = chance.choice(["environment", "action_count", "seeds", "provenance"])
        options[name] = chance.choice(SPECIAL + [["Pendulum"], 3, [3], {"a": {1}}, "CartPole", np.int8(4), 10**9, [[1]], np.array("a")])
    elif target == "train":
        name = chance.choice(list(settings))
        settings[name] = mutated(chance, settings[name] if settings[name] is not None else 1)
        if name in ("gradient_steps", "eval_episodes", "batch_size") and isinstance(settings[name], (int, float, np.number)):
            settings[name] = min(settings[name], 5)  # to keep what is right short
        if name == "checkpoint" and not isinstance(settings[name], (type(None), bytes)):
            settings[name] = "/dev/null/" + str(settings[name])
    else:
        seen = mutated(chance, seen)
        which = chance.choice([{}, {chance.choice(["seed", "learning_rate", "x"]): mutated(chance, 0)}])

    def call():
        data = hanq.Dataset.from_arrays(**arrays, **options)
        if target in ("train", "policy"):
            hanq.train(NETWORK, data, **settings, progress=False).policy(**which)(seen)

    given = {"arrays": arrays, "options": options, "train": settings, "policy": (seen, which)}[target]
    return call, given


def test_fuzzed_arrays_work_or_are_refused_by_name(record_property):
    chance, generator, faults = random.Random(0), np.random.default_rng(0), []
    for _ in range(ARRAYS):
        call, given = fuzzed_arrays(chance, generator)
        what = fault(call)
        if what:
            faults.append((what, re.sub(r"\s+", " ", repr(given))[:300]))
    report(faults, ARRAYS, record_property)


# Files


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """{kind: (file, how it is loaded)}, one of each kind."""
    folder = tmp_path_factory.mktemp("saved")
    hanq.collect("Pendulum", [0, 1], size=300).save(folder / "dataset.nc")
    data = hanq.load_dataset(folder / "dataset.nc")
    hanq.train(hanq.SSAQ, data, **SETTINGS | dict(checkpoint=folder / "checkpoint"), progress=False).save(folder / "run.nc")
    SCENARIOS["frames"](folder)
    (folder / "tuning").mkdir()
    SCENARIOS["tuning"](folder / "tuning")
    tuned = min((folder / "tuning").glob("*tuning.nc"))
    index = min(folder.glob("seaquest-*.nc"))
    return {
        "dataset": (folder / "dataset.nc", hanq.load_dataset),
        "run": (folder / "run.nc", hanq.load_run),
        "checkpoint": (folder / "checkpoint", lambda path: checkpoint.load(path, {})),
        "tuning": (tuned, lambda path: tuning.Tuning(path, (), {}, None, None, 1, None)),
        "result": (tuned.with_name(tuned.name.replace("-tuning", "")), records.load),
        "frames": (index, frames.load),
        "pictures": (index.with_suffix(".frames"), lambda path: frames.load(path.with_suffix(".nc"))),
    }


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
    for _ in range(FILES):
        kind = chance.choice(list(saved))
        original, load = saved[kind]
        path, whole = tmp_path / kind / original.name, original.read_bytes()
        path.write_bytes(damaged(chance, whole))
        what = fault(lambda: load(path))
        if what:
            kept = shutil.copy(path, Path(os.environ.get("FAULTS_KEEP", tmp_path)) / f"{len(faults)}{path.suffix}")
            faults.append((f"{kind}: {what}", kept))
        path.write_bytes(whole)
    report(faults, FILES, record_property)


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
@pytest.mark.parametrize("change", [huge, external_link, soft_link, broken_link, virtual, external_storage, group, compound,
                                    references])  # fmt: skip
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


# Command lines

WORDS = ["0", "-1", "1", "2", "3.5", "1e-4", "nan", "inf", "1e400", "", " ", "x", "--", "-", "é", "Pendulum", "Acrobot", "pendulum",
         "table1", "fig7", "HANQ", "DQN", "auto", "torch", "fused", "cuda", "cuda:99", "float32", "tf32", "bfloat16", "10000000000000000000",
         "/dev/null/x", "1,2", "0x10", "[]", "\n", "a\nb", "None", "True", "~", "." * 300, "%s", "{}"]  # fmt: skip
FLAGS = {
    "list": [],
    "reproduce": ["--env", "--out", "--quick", "--engine"],
    "ledger": ["--csv", "--results"],
    "seaquest": ["--algorithm", "--learning-rate", "--hyper-lr", "--target-rate", "--discount", "--seed", "--steps", "--batch-size",
                 "--eval-every", "--eval-episodes", "--eval-steps", "--transitions", "--device", "--precision", "--compile", "--out"],
    "table5": ["--row", "--learning-rate", "--target-rate", "--seed", "--steps", "--eval-every", "--device", "--work", "--out"],
    "bench": ["--atari"],
}  # fmt: skip
GIVEN = {"reproduce": ["fig7"], "seaquest": ["--algorithm", "DQN", "--learning-rate", "1e-4"]}


def command_line(chance):
    """A command with flags and values at random, the required ones mostly among them."""
    name = chance.choice(list(FLAGS) * 5 + ["", "x", "-h", "--version"])
    words = [name] + (GIVEN.get(name, []) if chance.random() < 0.8 else [])
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        if FLAGS.get(name) and chance.random() < 0.9:
            words.append(chance.choice(FLAGS[name]))
        words += chance.choices(WORDS, k=chance.choice([0, 1, 1, 1, 2]))
    return words


def test_fuzzed_command_lines_work_or_end_with_one_line_and_status_2(tmp_path, monkeypatch, capsys, record_property):
    def reached(*_, **__):
        raise Reached

    for module, name in ((training, "segments"), (protocol, "collect"), (protocol, "train"), (frames, "collect_seed"),
                         (ledger, "ours"), (bench, "main"), (atari_bench, "main")):  # fmt: skip
        monkeypatch.setattr(module, name, reached)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    chance, faults = random.Random(2), []
    for _ in range(COMMANDS):
        words = command_line(chance)
        what = fault(lambda: ended_well(main, words, capsys))
        if what:
            faults.append((what, words))
    report(faults, COMMANDS, record_property)


def ended_well(main, words, capsys):
    """Run a command line; AssertionError where it ends in any other way than it should."""
    status = 0
    capsys.readouterr()
    try:
        main(words)
    except SystemExit as ended:
        status = ended.code
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise AssertionError(f"{type(error).__name__} past the command line: {error}") from error
    message = capsys.readouterr().err
    assert status in (None, 0, 2), f"status {status}"
    if status == 2:
        assert re.fullmatch(r"(usage: .*\n( +.*\n)*)?python -m hanq[\w ]*: error: .+\n", message), f"no one line: {message[-300:]!r}"
