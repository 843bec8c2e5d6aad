"""What the harness shares: jobs that can be started again, in processes that can be killed, and the contents of their files."""

import ctypes
import hashlib
import multiprocessing
import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import hanq
from hanq.__main__ import main
from hanq.atari import frames
from hanq.atari import training as atari_training
from hanq.data.foundations import records
from hanq.engines import checkpoint
from hanq.training import train as training

FULL = os.environ.get("FAULTS") == "full"
WARM = multiprocessing.get_context("forkserver")  # its children find the package imported, and Numba's cache filled
WARM.set_forkserver_preload(["hanq.__main__"])
COLD = multiprocessing.get_context("spawn")  # a fresh interpreter, with today's environment
OFTEN = 0.02  # seconds: segments and checkpoints, so that a kill meets many of them
SECONDS = ("wall_seconds", "date")  # attributes that no two runs share
SEAQUEST = ["--transitions", "60", "--batch-size", "2", "--steps", "6", "--eval-every", "2", "--eval-episodes", "1", "--eval-steps", "5"]


def train(folder):
    path = folder / "run.nc"
    if not path.exists():
        data = hanq.collect("Pendulum", range(2))
        hanq.train(
            hanq.HANQ,
            data,
            learning_rate=[1e-2, 1e-3],
            hyper_lr=0.1,
            target_rate=0.5,
            gradient_steps=4_000,
            eval_every=500,
            eval_episodes=3,
            progress=False,
            checkpoint=folder / "run.checkpoint",
        ).save(path)


def collect(folder):
    for name in ("Pendulum", "CartPole", "Acrobot"):
        path = folder / f"{name}.nc"
        if not path.exists():
            hanq.collect(name, range(4), size=1_000).save(path)


def collect_frames(folder):
    frames.GAMES = 1  # a game a block: several blocks a second
    frames.collect(folder, [1, 2], 1_200, progress=False)


def command(*words):
    return lambda folder: main([*words, "--out", str(folder)])


SCENARIOS = {  # name: a function of a folder, which goes on with what it finds there
    "train": train,
    "reproduce": command("reproduce", "fig6b", "--quick"),
    "tuning": command("reproduce", "table3", "--env", "Pendulum", "--quick"),
    "collect": collect,
    "frames": collect_frames,
    "seaquest": command("seaquest", "--algorithm", "HANQ", "--learning-rate", "1e-4", "--hyper-lr", "0.1", *SEAQUEST),
}


def start(name, folder, log, context=WARM):
    """A process at work on a scenario, in a session of its own."""
    process = context.Process(target=play, args=(name, folder, log))
    process.start()
    return process


def play(name, folder, log):
    """What the process does: the scenario, with what it saves and trains written down in `log`, its messages in `log`.err."""
    os.setsid()
    os.umask(0o022)
    drop_capabilities()
    for stream in (1, 2):
        os.dup2(os.open(f"{log}.err", os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as `python -m hanq` has it
    for module in (training, atari_training):
        module.CHECKPOINT_SECONDS = OFTEN
    training.SEGMENT_SECONDS = OFTEN
    write_down(log)
    sys.exit(SCENARIOS[name](folder))


def drop_capabilities():
    """Make root as other users: what may not be written cannot be written. No other user notices."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None).capset(header, none)


def write_down(log):
    """A line in `log` for each checkpoint that is saved, and for each training that takes a step: `word file gradient_step`."""
    save, segments = checkpoint.save, training.segments

    def line(word, path, gradient_step):
        with suppress(OSError), open(log, "a") as file:  # the disk may be full on purpose
            file.write(f"{word} {Path(path).name} {gradient_step}\n")

    def saved(path, state, *rest):
        save(path, state, *rest)
        line("saved", path, state.gradient_step)

    def followed(engine, state, measure, counts, bar, kept, *rest):
        advance = engine.advance

        def first(state, steps):
            line("started", kept.path, state.gradient_step)
            engine.advance = advance
            return advance(state, steps)

        engine.advance = first
        return segments(engine, state, measure, counts, bar, kept, *rest)

    checkpoint.save = saved
    training.segments = atari_training.segments = followed


def contents(folder):
    """A checksum by name of what each file holds, whatever seconds and date it carries."""
    return {str(path.relative_to(folder)): content(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def content(path):
    if path.suffix == ".nc":
        data = records.load(path)
        attrs = {key: re.sub(r'"date": "[^"]*"', "", str(value)) for key, value in data.attrs.items() if key not in SECONDS}
        return records.digest(data.drop_attrs().assign_attrs(attrs))
    if path.suffix == ".checkpoint":
        state, history, _ = checkpoint.load(path, {})
        arrays = {name: getattr(state, name) for name in checkpoint.ARRAYS} | history
        return checkpoint.digest(arrays, {"gradient_step": state.gradient_step})
    return hashlib.sha256(path.read_bytes()).hexdigest()


def left_running(session):
    """Processes of a session that still run, once it had two seconds to end them."""
    for _ in range(20):
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _, _, of = stat.read_text().rpartition(") ")[2].split()[:4]
                if int(of) == session and state != "Z":
                    found.append(stat.parent.name)
        if not found:
            break
        time.sleep(0.1)
    return found
