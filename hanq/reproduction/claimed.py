"""What the paper claims, sentence by sentence, as a literal; `hanq.reproduction.claims` judges it.

The abstract, the contributions, the captions of the tables and of the figures, and section 4, in our words. Claims about one
environment name it; Tables 4, 6, 8 and 9 are about Pendulum. "Up to twice as high" has no bound from below: what is tested is whether
HANQ is above PQN. Figures are judged by windows of gradient steps that are the same for all algorithms, apart from peaks, for which the
paper speaks of each curve's own.
"""

from functools import cache
from os import PathLike

from hanq.reproduction import paper
from hanq.reproduction.claims import ABOVE, EQUAL, NOT_BELOW, Claim, Contrast, Finding, Score, bootstrap_t, judge, minus

EARLY, LATE, FIRST = (20_000, 60_000), (160_000, 200_000), (0, 20_000)  # gradient steps
DQN_PEAK, DQN_BARE_PEAK = (8_000, 28_000), (152_000, 172_000)  # around the highest points of the mean curves of Figs. 3a and 3b
SSAQ_PEAK, HSSAQ_PEAK = (12_000, 32_000), (108_000, 128_000)  # of Figs. 3b and 5


def rows(table: str, environment: str = "Pendulum", but: tuple = ("HANQ",)) -> list[Score]:
    """Our scores of one table of `paper.TABLES`, without those of some algorithms."""
    return [Score(paper.stem(table, environment, *key)) for key in paper.TABLES[table] if key[0] not in but]


def cell(table: str, environment: str, algorithm: str, setting: str = "") -> Score:
    return Score(paper.stem(table, environment, algorithm, setting))


def change(result: str) -> Contrast:
    """Late minus early score of a figure's curve."""
    return ((1.0, Score(result, LATE)), (-1.0, Score(result, EARLY)))


HANQ = {environment: cell("table1", environment, "HANQ", "hyper_lr=0.1") for environment in ("Pendulum", "Acrobot", "CartPole")}
DQN = {environment: cell("table1", environment, "DQN", paper.BEST) for environment in HANQ}
PENDULUM = HANQ["Pendulum"]
NO_ASYMMETRY = [cell("table2", "Pendulum", name) for name in ("w/o any predictor", "symmetrized")]
NO_NORM = {environment: rows("table3", environment) for environment in ("Pendulum", "Acrobot")}
NORM_PAIR = cell("table4", "Pendulum", "l2N + LN", "hyper_lr=0")  # HANQ without hypergradients
SEMI = {environment: cell("table7", environment, "HANQ", "semi-gradient hyperobjective") for environment in NO_NORM}
HYPER_DQN = [cell("table8", "Pendulum", *key) for key in paper.TABLES["table8"] if "hyper_lr=0;" not in key[1]]
BASIC, DQNS, VARIANTS = "HANQ − DQN", "HANQ − each DQN", "HANQ − each variant"  # contrasts in words

CLAIMS = [
    Claim("hanq", "abstract", "On Pendulum, HANQ matches or outscores DQN", NOT_BELOW, minus(PENDULUM, DQN["Pendulum"]), BASIC),
    Claim("hanq", "abstract", "On Acrobot, HANQ matches or outscores DQN", NOT_BELOW, minus(HANQ["Acrobot"], DQN["Acrobot"]), BASIC),
    Claim("seaquest", "abstract", "On Seaquest, HANQ matches or outscores DQN", NOT_BELOW, ()),
    Claim("hanq", "section 4", "On CartPole, HANQ scores below DQN", ABOVE, minus(DQN["CartPole"], HANQ["CartPole"]), "DQN − HANQ"),
    Claim("ablations", "contribution 1", "Without asymmetry, Pendulum's score falls", ABOVE, minus(PENDULUM, *NO_ASYMMETRY), VARIANTS),
    Claim(
        "ablations",
        "contribution 3",
        "Take out asymmetry, either norm or the hypergradient, and Pendulum's score falls",
        ABOVE,
        minus(PENDULUM, *NO_ASYMMETRY, *NO_NORM["Pendulum"], NORM_PAIR),
        VARIANTS,
    ),
    Claim("ablations", "contribution 3", "HANQ scores above PQN", ABOVE, minus(PENDULUM, *rows("pqn")), "HANQ − PQN"),
    Claim("hanq", "Table 1", "On Pendulum, HANQ is above all six DQNs", ABOVE, minus(PENDULUM, *rows("table1")), DQNS),
    Claim(
        "ablations", "Table 2", "On Pendulum, no other predictor outscores HANQ's", NOT_BELOW, minus(PENDULUM, *rows("table2")), VARIANTS
    ),
    Claim(
        "ablations",
        "Table 3",
        "On Pendulum, less than half is left if one of the norms is taken out",
        ABOVE,
        minus(PENDULUM, *NO_NORM["Pendulum"], times=2.0),
        "HANQ − 2 × each variant",
    ),
    Claim(
        "ablations",
        "Table 3",
        "On Acrobot, the score falls if one of the norms is taken out",
        ABOVE,
        minus(HANQ["Acrobot"], *NO_NORM["Acrobot"]),
        VARIANTS,
    ),
    Claim(
        "ablations",
        "Table 4",
        "HANQ's pair of norms is above the eight others",
        ABOVE,
        minus(NORM_PAIR, *rows("table4", but=("l2N + LN",))),
        "its pair − each other pair",
    ),
    Claim("seaquest", "Table 5", "On Seaquest, HANQ scores above DQN-LN", ABOVE, ()),
    Claim("ablations", "Table 6", "No DQN with a second hidden layer outscores HANQ", NOT_BELOW, minus(PENDULUM, *rows("table6")), DQNS),
    *(
        Claim(
            "hypergradients",
            "Table 7",
            f"On {name}, both hyperobjectives work equally well",
            EQUAL,
            minus(HANQ[name], SEMI[name]),
            "residual − semi-gradient",
        )
        for name in SEMI
    ),
    Claim("hypergradients", "Table 8", "Hypergradients do not let DQN match HANQ", ABOVE, minus(PENDULUM, *HYPER_DQN), DQNS),
    Claim("ablations", "Table 9", "No tuned discount lets DQN outscore HANQ", NOT_BELOW, minus(PENDULUM, *rows("table9")), DQNS),
    Claim("ablations", "section 9.3", "HANQ stays above DQN with any of these discounts", ABOVE, minus(PENDULUM, *rows("table9")), DQNS),
    Claim(
        "q-learning", "Fig. 3a", "DQN's score degrades", ABOVE, minus(Score("fig3a-DQN", EARLY), Score("fig3a-DQN", LATE)), "early − late"
    ),
    Claim(
        "asymmetry",
        "Fig. 3b",
        "Without a target network, SSAQ peaks at more than twice DQN's score",
        ABOVE,
        minus(Score("fig3b-SSAQ", SSAQ_PEAK, 10**-2.5), Score("fig3b-DQN", DQN_BARE_PEAK, 1e-4), times=2.0),
        "SSAQ's peak − 2 × DQN's",
    ),
    Claim(
        "normalization",
        "Fig. 4a",
        "LayerNorm changes SSAQ's score little",
        EQUAL,
        minus(Score("fig4a-SSANQ"), Score("fig3b-SSAQ")),
        "with − without",
    ),
    Claim(
        "hypergradients",
        "Fig. 5",
        "Hypergradients stabilise SSAQ",
        ABOVE,
        minus(Score("fig7-HSSAQ", LATE), Score("fig3b-SSAQ", LATE, 10**-2.5)),
        "HSSAQ − SSAQ, late",
    ),
    Claim(
        "hypergradients",
        "Fig. 5",
        "HSSAQ does not quite reach DQN's peak",
        ABOVE,
        minus(Score("fig3a-DQN", DQN_PEAK), Score("fig7-HSSAQ", HSSAQ_PEAK)),
        "DQN's peak − HSSAQ's",
    ),
    Claim(
        "hanq",
        "Fig. 6b",
        "HANQ keeps its score better than DQN",
        ABOVE,
        (change("fig6b-HANQ") + tuple((-weight, score) for weight, score in change("fig3a-DQN")),),
        "HANQ's late − early, minus DQN's",
    ),
    Claim(
        "hanq",
        "Fig. 6b",
        "HANQ learns faster than DQN",
        ABOVE,
        minus(Score("fig6b-HANQ", FIRST), Score("fig3a-DQN", FIRST)),
        "HANQ − DQN, first 20,000 steps",
    ),
]


@cache
def findings(folder: str | PathLike = "results") -> list[Finding]:
    """What became of `CLAIMS` in the result files, judged together and once per process (it takes some seconds)."""
    return judge(CLAIMS, folder)


@cache
def checked(folder: str | PathLike = "results") -> list[Finding]:
    """The same by the studentised bootstrap, which does not assume that the contrasts are symmetric."""
    return judge(CLAIMS, folder, bootstrap_t)
