"""The paper's tables and figures as literals, and the numbers that it prints.

`python -m hanq reproduce` runs them (see `hanq.reproduction.pipeline`), and the book reads the resulting files with `result`.
"""

import re
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path

import pandas
import xarray

from hanq.algorithm import DQN, DQN_L2N, DQN_LN, HANQ, PQN, SSANQ, SSAQ
from hanq.data.foundations.files import as_path
from hanq.data.foundations.records import load
from hanq.training.run import GRID
from hanq.training.scores import average_over_training

LEARNING_RATES = [10**-1, 10**-1.5, 10**-2, 10**-2.5, 10**-3, 10**-3.5, 10**-4]  # section 11
TARGET_RATES = [1.0, 1e-1, 1e-2, 1e-3, 1e-4]
PENALTIES = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10]  # PQN's l2
HYPER_LRS = [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5]  # kappa, section 11
DISCOUNTS = [0.95, 0.9, 0.85, 0.8, 0.75]
ATARI_LEARNING_RATES = [10 ** (-half / 2) for half in range(5, 17)]  # 10^-2.5 to 10^-8, section 11
ATARI_TARGET_RATES = [1e-4, 1e-5, 1e-6]
SEEDS, STEPS = range(30), 200_000  # of the report; gradient steps, section 11


@dataclass(frozen=True)
class Row:
    """The training behind one score of a table, or one panel of a figure."""

    algorithms: tuple
    """One `Algorithm`, or several if the choice between them is tuned too."""
    settings: dict
    """Arguments of `hanq.train`. A sequence is a grid."""
    data: dict = field(default_factory=dict)
    """Arguments of `hanq.collect`, and of what becomes of its data: see `protocol.collected`."""
    evaluation: dict = field(default_factory=dict)
    """Arguments of `hanq.train` that concern evaluation."""
    shared_dataset: int | None = None
    """The seed of one dataset shared by all agents. By default each agent learns from the dataset of its own seed."""


def row(*algorithms, **settings):
    """Make a `Row`, with the paper's grid of learning rates unless another is given."""
    return Row(algorithms, dict(learning_rate=LEARNING_RATES) | settings)


NORMALISED = {"DQN": DQN, "DQN-LN": DQN_LN, "DQN-l2N": DQN_L2N}
NORMS = {"l2N": "l2", "LN": "layer", "none": "none"}
NORM_PAIRS = [  # "metapredictor + main network", in Table 4's order
    "l2N + LN",
    "LN + l2N",
    "l2N + l2N",
    "LN + LN",
    "none + l2N",
    "none + LN",
    "l2N + none",
    "LN + none",
    "none + none",
]
WITHOUT = {
    "w/o positive scale": replace(HANQ, positive_scale=False),
    "w/o bias": replace(HANQ, predictor_bias=False),
    "w/o metapredictor": replace(HANQ, predictor="direct"),
    "w/o any predictor": replace(HANQ, predictor="none"),
    "symmetrized": replace(HANQ, symmetric=True),
    "w/o l2N": replace(HANQ, predictor_norm="none"),
    "w/o LN": replace(HANQ, main_norm="none"),
}
BEST = "best target_rate in 1e0..1e-4"
BEST_OF_FOUR = "best target_rate in 1e0..1e-3"


def pair(names):
    """Return HANQ with the normalisations "metapredictor + main network", in Table 4's notation."""
    predictor, main = (NORMS[name] for name in names.split(" + "))
    return replace(HANQ, predictor_norm=predictor, main_norm=main)


def deep(algorithm):
    return replace(algorithm, hidden_layers=2)


TABLES = {
    "table1": {(name, BEST): row(algorithm, target_rate=TARGET_RATES) for name, algorithm in NORMALISED.items()}
    | {(name, "target_rate=1"): row(algorithm) for name, algorithm in NORMALISED.items()}
    | {("HANQ", "hyper_lr=0.1"): row(HANQ, hyper_lr=0.1)},
    "table2": {("HANQ", ""): row(HANQ, hyper_lr=0.1)}
    | {(name, ""): row(algorithm, hyper_lr=HYPER_LRS) for name, algorithm in WITHOUT.items() if not name.endswith("N")},
    "table3": {("HANQ", ""): row(HANQ, hyper_lr=0.1)}
    | {(name, ""): row(algorithm, hyper_lr=HYPER_LRS) for name, algorithm in WITHOUT.items() if name.endswith("N")},
    "table4": {(names, "hyper_lr=0"): row(pair(names)) for names in NORM_PAIRS},
    "table6": {(f"{name} 3-layer", "target_rate=1"): row(deep(algorithm)) for name, algorithm in NORMALISED.items()}
    | {(f"{name} 3-layer", BEST): row(deep(algorithm), target_rate=TARGET_RATES) for name, algorithm in NORMALISED.items()},
    "table7": {
        ("HANQ", "residual hyperobjective"): row(HANQ, hyper_lr=0.1),
        ("HANQ", "semi-gradient hyperobjective"): row(replace(HANQ, hyperobjective="semi"), hyper_lr=HYPER_LRS),
    },
    "table8": {
        ("DQN", f"hyper_lr={text}; {BEST_OF_FOUR}"): row(DQN, hyper_lr=float(text), target_rate=TARGET_RATES[:4])
        for text in ("1e-1", "1e-2", "1e-3", "1e-4", "1e-5", "0")
    },
    "table9": {
        (name, f"discount={discount}; target_rate={text}"): row(algorithm, discount=discount, target_rate=float(text))
        for discount in DISCOUNTS
        for text in ("1", "1e-3")
        for name, algorithm in NORMALISED.items()
    },
    "pqn": {("PQN", "best of 7 learning rates x 8 l2 x 2 placements"): row(PQN, DQN_LN, weight_decay=PENALTIES)},
}
FIGURES = {
    "fig3a": {"DQN": row(DQN, target_rate=1e-3), "SSAQ": row(SSAQ, target_rate=1e-3)},
    "fig3b": {"DQN": row(DQN), "SSAQ": row(SSAQ)},
    "fig4a": {"SSANQ": row(SSANQ)},
    "fig6b": {"HANQ": row(HANQ, hyper_lr=0.1)},
    "fig7": {"HSSAQ": row(SSAQ, learning_rate=10**-2.5, hyper_lr=1e-4)},
}
SEAQUEST = {  # Table 5, which `python -m hanq table5` runs; the first two first
    ("HANQ", "hyper_lr=0"): row(HANQ, learning_rate=ATARI_LEARNING_RATES),
    ("DQN-LN", "target_rate=1; hyper_lr=0"): row(DQN_LN, learning_rate=ATARI_LEARNING_RATES),
    ("w/o metapredictor", "hyper_lr=0"): row(WITHOUT["w/o metapredictor"], learning_rate=ATARI_LEARNING_RATES),
    ("DQN", "best target_rate in 1e-4..1e-6"): row(DQN, learning_rate=ATARI_LEARNING_RATES, target_rate=ATARI_TARGET_RATES),
}
SEAQUEST_STEPS, SEAQUEST_TRANSITIONS = 1_000_000, 100_000  # gradient steps; transitions a seed, section 11


def numbers() -> pandas.DataFrame:
    """Return every score that the paper prints, with columns table, environment, algorithm, setting, mean, ci_low, ci_high."""
    return pandas.read_csv(Path(__file__).with_name("paper.csv"), dtype={"table": str}).fillna({"setting": ""})


def number(table: str, environment: str, algorithm: str, setting: str) -> tuple[float, float, float]:
    """Return (mean, ci_low, ci_high) of one printed score. Raises KeyError if the paper has no such score."""
    found = numbers()
    wanted = dict(table=table, environment=environment, algorithm=algorithm, setting=setting)
    rows = found[(found[list(wanted)] == list(wanted.values())).all(axis=1)]
    if len(rows) != 1:
        raise KeyError(f"the paper prints {len(rows)} scores for {wanted}")
    return tuple(rows[["mean", "ci_low", "ci_high"]].iloc[0])


def printed(table):
    """Convert a key of `TABLES` to its form in the column "table" of `numbers`: "table1" -> "1", "pqn" -> "text"."""
    return table.removeprefix("table") if table.startswith("table") else "text"


def scores_of(table):
    """Return the rows of `numbers` that belong to a key of `TABLES`."""
    found = numbers()
    return found[found.table == printed(table)]


def stem(table: str, environment: str, algorithm: str, setting: str) -> str:
    """Return the name of the result behind one printed score. Scores that come from the same training share a result."""
    wanted = TABLES[table][algorithm, setting]
    for first, rows in TABLES.items():
        for (name, tuned), row in rows.items():
            if row == wanted:
                return file_name(first, environment, name, tuned)
    raise AssertionError("unreachable, because a row is equal to itself")


def file_name(*words):
    """Join words into a valid file name: ("w/o bias",) -> "w-o-bias"."""
    return re.sub(r"[^\w.=-]+", "-", " ".join(words).strip())


def path_of(name: str, folder: str | PathLike) -> Path:
    """Return the path of a result, inside the folder of its experiment: "fig3a-DQN" -> folder/fig3a/DQN.nc."""
    experiment, _, rest = name.partition("-")
    return as_path("folder", folder) / experiment / f"{rest}.nc"


def result(name: str, folder: str | PathLike = "results") -> xarray.Dataset:
    """Load the curves of one result, such as "fig3a-DQN" or "table3-Pendulum-w-o-LN", and verify their checksum."""
    return load(path_of(name, folder))


def seed_scores(name: str, folder: str | PathLike = "results") -> xarray.DataArray:
    """Return the scores of one tuned result averaged over training, (seed,), for comparisons seed by seed."""
    return average_over_training(result(name, folder).score).squeeze([*GRID]).reset_coords(drop=True)
