"""Trains agents on Seaquest's frames with the PyTorch engine, reading frames from disk or from the GPU's memory."""

import ctypes
import json
import platform
import warnings
from contextlib import contextmanager
from dataclasses import asdict
from weakref import WeakKeyDictionary

import torch

from hanq import reference
from hanq.algorithm import Algorithm
from hanq.atari.evaluation import SAMPLE, Evaluation
from hanq.atari.frames import FrameDataset
from hanq.atari.game import SEAQUEST
from hanq.atari.network import seaquest_network
from hanq.data.foundations import files, records
from hanq.data.foundations.settings import set_aside
from hanq.engines import torch_engine
from hanq.engines.population import initial_state
from hanq.training.run import GRID, Run
from hanq.training.segments import Checkpoint, Usual, checked_counts, progress_bar, segments
from hanq.training.train import agents_of, axis, labelled, labelled_parameters

PRECISIONS = ("float32", "tf32", "bfloat16")
CHECKPOINT_SECONDS = 120  # a checkpoint takes 34 MB per agent
RELEASE_STEPS = 500  # gradient steps between releases of freed memory
SHARE_OF_MEMORY = 0.5  # the share of the device's free memory that frames may occupy
ON_DEVICE: WeakKeyDictionary = WeakKeyDictionary()  # {dataset: {device: frames}}, so that several trainings share one copy


class SeaquestEngine(torch_engine.TorchEngine):
    """Trains a population by `reference.step` on stacks assembled from single frames."""

    def __init__(self, network, agents, dataset, batch_size, device, precision="float32", compiled=False):
        super().__init__(network, agents, dataset, batch_size, device)
        self.precision, self.dataset_of_agent = precision, agents.datasets.tolist()
        if compiled:
            self.name, self.later_step = "torch-compiled", torch.compile(reference.later_step)

    def load(self, dataset):
        """Move the columns to the device, and the frames of all seeds too if they fit; otherwise frames stay on disk."""
        frames = frames_on(dataset, self.device) if self.device.type == "cuda" else None
        self.frames_on_device = frames is not None
        frames = frames or [torch.from_numpy(member.frames) for member in dataset.members]
        kinds = dict(stack_rows=torch.int64, actions=torch.int64, rewards=torch.float32, terminated=torch.float32)
        columns = {
            name: torch.stack([torch.as_tensor(getattr(member, name), dtype=kind, device=self.device) for member in dataset.members])
            for name, kind in kinds.items()
        }
        return frames, columns

    def gather(self, index):
        """Return each agent's transitions at `index`, (seeds, batch), as (agents, batch, ...); frames remain uint8."""
        frames, columns = self.transitions
        index = index[self.seed_of_agent]
        batch = {name: values[self.agents.datasets[:, None], index] for name, values in columns.items()}
        rows = batch.pop("stack_rows")  # (agents, batch, 5)
        rows = rows if self.frames_on_device else rows.cpu()
        pictures = torch.stack([frames[of][row] for of, row in zip(self.dataset_of_agent, rows, strict=True)])
        pictures = pictures if self.frames_on_device else pictures.to(self.device)  # (agents, batch, 5, 84, 84)
        return reference.Batch(observations=pictures[:, :, :-1], next_observations=pictures[:, :, 1:], **batch)

    def capturable(self):
        return self.frames_on_device

    def advance(self, state, steps):
        with precision_of(self.precision, self.device):
            after = super().advance(state, steps)
        if state.gradient_step // RELEASE_STEPS < after.gradient_step // RELEASE_STEPS:
            release_memory()
        return after


def frames_on(dataset, device):
    """Return each seed's frames on a GPU, where they stay as long as the dataset exists. Warns and returns None if they do not fit."""
    kept = ON_DEVICE.setdefault(dataset, {})
    if device not in kept:
        frames = [torch.from_numpy(member.frames) for member in dataset.members]
        torch.cuda.empty_cache()  # so that memory freed by earlier trainings counts as free
        size, (free, _) = sum(pictures.nbytes for pictures in frames), torch.cuda.mem_get_info(device)
        if size > SHARE_OF_MEMORY * free:
            warnings.warn(
                f"the frames take {size / 1e9:.1f} GB and {device} has {free / 1e9:.1f} GB free, of which they may take "
                f"{SHARE_OF_MEMORY:.0%}: they stay on disk, and steps go without a CUDA graph, which is slow; "
                "use fewer seeds at a time",
                stacklevel=2,
            )
            return None
        kept[device] = [pictures.to(device) for pictures in frames]
    return kept[device]


def release_memory():
    """Return freed memory to the operating system. glibc before 2.38 would keep over a megabyte per step between aligned arrays."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def precision_of(precision, device):
    """Compute in full float32, in TF32 on tensor cores, or with the layers alone in bfloat16 (see `reference.linear`)."""
    settings = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [setting.allow_tf32 for setting in settings]
    try:
        for setting in settings:
            setting.allow_tf32 = precision == "tf32"
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False):
            yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.allow_tf32 = value


@set_aside()
def train_on_frames(
    algorithm,
    dataset,
    *,
    learning_rate,
    hyper_lr=0.0,
    target_rate=1.0,
    discount=0.99,
    gradient_steps=1_000_000,
    batch_size=128,
    eval_every=Usual(10_000),
    eval_episodes=10,
    eval_steps=SEAQUEST.horizon,
    device="auto",
    precision="float32",
    compiled=False,
    checkpoint=None,
    log=None,
    progress=True,
):
    """Train one agent for every seed and every point of the grid, side by side.

    The agents' convolutions become one grouped convolution. On a CPU this takes longer than training one agent after the
    other, so run one process per agent there. On a GPU it has not been measured.

    algorithm: an `Algorithm`; its hidden layers are replaced by Seaquest's. dataset: a `FrameDataset`. learning_rate,
    hyper_lr, target_rate, discount, gradient_steps, batch_size, eval_every, eval_episodes, checkpoint, progress:
    as in `hanq.train`. eval_steps: actions after which a game is cut off. device: "auto" chooses a GPU if there is one.
    precision: one of `PRECISIONS`, for training only; evaluation uses float32. compiled: whether to use torch.compile.
    log: a CSV file with the curves so far, replaced at each evaluation.

    Returns a `Run` labelled as `hanq.train` labels it; msbe and scale are means over a fixed sample of the dataset.
    Raises TypeError or ValueError naming the argument, its value and what is allowed.
    """
    if not isinstance(algorithm, Algorithm):
        raise TypeError(f"algorithm={algorithm!r} is not an Algorithm: use hanq.DQN_LN, hanq.HANQ, ...")
    if not isinstance(dataset, FrameDataset):
        raise TypeError(f"dataset={dataset!r} is not a FrameDataset: use hanq.atari.frames.collect")
    counts = checked_counts(
        gradient_steps=gradient_steps, batch_size=batch_size, eval_every=eval_every, eval_episodes=eval_episodes, eval_steps=eval_steps
    )
    device, log = checked_device(device, precision), log if log is None else files.as_path("log", log)
    values = dict(zip(GRID, (learning_rate, hyper_lr, target_rate, discount, 0.0), strict=True))
    axes = {name: axis(name, value) for name, value in values.items()} | {"seed": dataset.seeds}
    agents = agents_of(axes, len(dataset.seeds))
    network = seaquest_network(algorithm, SEAQUEST.actions)
    engine = SeaquestEngine(network, agents, dataset, counts["batch_size"], device, precision, compiled)
    described = axes | counts | dict(algorithm=algorithm, dataset=dataset.digest, engine=engine.name, precision=precision)
    attrs = provenance(algorithm, dataset, engine) | counts

    def curves_of(history, wall_seconds):
        return labelled(axes, counts["eval_every"], history, SEAQUEST, attrs | {"wall_seconds": round(wall_seconds, 3)})

    def report(history):
        if log is not None:
            with files.atomic(log) as partial:
                curves_of(history, 0.0).to_dataframe().reset_index().to_csv(partial, index=False)

    evaluation = Evaluation(engine, counts["eval_episodes"], counts["eval_steps"])

    def measure(state):
        with precision_of("float32", device):  # by default torch uses TF32 in convolutions
            return evaluation(state)

    with files.locked("checkpoint", checkpoint) as checkpoint, progress_bar(counts["gradient_steps"], progress) as bar:
        state, history, wall_seconds = segments(
            engine, initial_state(network, agents), measure, counts, bar, Checkpoint(checkpoint, described, CHECKPOINT_SECONDS), report
        )
    return Run(network, curves_of(history, wall_seconds), labelled_parameters(axes, state.params))


def checked_device(device, precision):
    """Return the torch.device. Raises ValueError if it is not available or does not support the precision."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} is unknown: use one of {PRECISIONS}")
    if device == "auto":
        device = "cuda" if torch_engine.DEVICES["cuda"]() else "cpu"
    device = torch_engine.find_device(device)
    if precision == "tf32" and device.type != "cuda":
        raise ValueError("precision='tf32' needs a GPU: use one of ('float32', 'bfloat16') on the CPU")
    return device


def provenance(algorithm, dataset, engine):
    """Return where the curves come from, apart from the counts."""
    on_gpu = engine.device.type == "cuda"
    return records.provenance() | {
        "algorithm": json.dumps(asdict(algorithm)),
        "environment": SEAQUEST.name,
        "dataset": json.dumps([member.provenance for member in dataset.members]),
        "dataset_digest": dataset.digest,
        "transitions": dataset.size,
        "engine": engine.name,
        "device": torch.cuda.get_device_name(engine.device) if on_gpu else engine.device.type,
        "frames": "on the device" if engine.frames_on_device else "on disk",
        "cuda_graph": "of the whole step" if engine.capturable() else "none",
        "precision": engine.precision,
        "threads": torch.get_num_threads(),
        "msbe_sample": f"{SAMPLE} transitions of each dataset, the same at every evaluation",
    }
