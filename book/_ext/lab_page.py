"""What the laboratory shows beside a live run, the committed curves, and the picture where no script runs.

A page that is opened from a folder may fetch nothing, so the curves go into a plain script, `curves.js`. It is written
into the site at every build, in the light environment that builds it, and never committed.
"""

import ast
import base64
import json
from functools import cache
from pathlib import Path

import h5py
import numpy as np

TOP = Path(__file__).parents[2]
RESULTS = TOP / "book" / "results"
LEDGER = ("table*", "pqn")  # what the ledger shows and a chart can: classic control
FOLDERS = ("fig6b", "fig3a", "fig3b", "fig4a", "fig7", "table1", "table3", "table4", "table8")  # the first run of a setting counts
SCRIPTS = ("curves.js", "engine.bundle.js", "page.bundle.js")  # of a page with a laboratory, in this order
RESAMPLES = 10_000
PREDICTORS = {"none": "none", "direct": "one number", "meta": "metapredictor"}
NORMS = {"none": "none", "layer": "LayerNorm", "l2": "l2"}
OFFERED = {  # what the laboratory trains, beside the parts that its reader picks
    "symmetric": False,
    "norm_first": False,
    "hyperobjective": "residual",
    "hidden_layers": 1,
    "hidden_features": 128,
}
SCALING = {  # how each predictor makes a scale of what it learns
    "none": {},
    "direct": {"positive_scale": False, "predictor_bias": False},
    "meta": {"positive_scale": True, "predictor_bias": True},
}
GRID = ("learning_rate", "hyper_lr", "target_rate", "discount", "weight_decay")


def colours():
    """One colour per algorithm, as the book's figures have them, read without importing matplotlib."""
    for node in ast.parse((TOP / "hanq" / "training" / "plots.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "COLOURS":
            return ast.literal_eval(node.value)
    raise ValueError("hanq/training/plots.py has no COLOURS")


@cache
def resamples(seeds):
    """How often each seed is drawn in each resample, as shares: (seeds, RESAMPLES)."""
    return (np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES).T / seeds).astype(np.float32)


def interval(scores):
    """Mean over seeds and its 95% percentile bootstrap, each (steps,); scores: (seeds, steps)."""
    means = np.sort(scores.T.astype(np.float32) @ resamples(len(scores)))  # (steps, RESAMPLES)
    low, high = np.percentile(means, [2.5, 97.5], axis=1)
    return {"mean": scores.mean(0), "low": low, "high": high}


def offered(algorithm):
    """Whether the laboratory can train this algorithm."""
    wanted = OFFERED | SCALING[algorithm["predictor"]]
    return all(algorithm[name] == value for name, value in wanted.items())


def parts(algorithm, target_rate, hyper_lr):
    """An algorithm by the parts that the reader picks, as the laboratory's modules name them."""
    meta = algorithm["predictor"] == "meta"
    return {
        "predictor": PREDICTORS[algorithm["predictor"]],
        "mainNorm": NORMS[algorithm["main_norm"]],
        "predictorNorm": NORMS[algorithm["predictor_norm"]] if meta else "none",
        "targetRate": None if target_rate == 1 else target_rate,
        "hyperLr": hyper_lr,
    }


def curves(results=RESULTS, folders=FOLDERS):
    """Every committed curve on Pendulum that a reader can repeat, in the order of the folders.

    A list of {result, parts, learningRate, steps, mean, low, high, seeds}; seeds: (seeds, steps), whole points.
    """
    paths = [path for folder in folders for path in sorted((results / folder).glob("*.nc")) if not path.stem.endswith("-tuning")]
    return [curve for path in paths for curve in read(path)]


def read(path):
    """The curves of one result file, one for each learning rate; none if it is of another problem."""
    with h5py.File(path) as file:
        algorithm = json.loads(file.attrs["algorithm"])
        numbers = {name: file[name][:].tolist() for name in GRID}
        usual = numbers["discount"] == [0.99] and numbers["weight_decay"] == [0] and file.attrs["environment"] == "Pendulum"
        from_everywhere = np.ravel(file.attrs.get("eval_velocity", 0)) == 8  # where evaluation starts, as in the laboratory
        if not usual or not from_everywhere or not offered(algorithm):
            return
        (hyper_lr,), (target_rate,) = numbers["hyper_lr"], numbers["target_rate"]
        scores = file["score"][:].astype(float)[:, 0, 0, 0, 0]  # (learning rates, seeds, steps)
        steps = file["gradient_step"][:].tolist()
        for rate, of_seeds in zip(numbers["learning_rate"], scores, strict=True):
            of = parts(algorithm, target_rate, hyper_lr)
            result = f"{path.parent.name}/{path.stem}"
            yield {"result": result, "parts": of, "learningRate": rate, "steps": steps, **drawn(of_seeds)}


def drawn(scores):
    """What a chart shows of scores (seeds, steps): mean, low and high in tenths, and the seeds in whole points."""
    rounded = {name: np.round(values, 1).tolist() for name, values in interval(scores).items()}
    return rounded | {"seeds": np.clip(np.rint(scores), -128, 127).astype(np.int8)}


def ledger(results=RESULTS, folders=LEDGER):
    """{name of a result: {steps, mean, low, high, seeds}}: the curves behind each score of the ledger on classic control."""
    found = {}
    for path in sorted(path for folder in folders for path in results.glob(f"{folder}/*.nc") if not path.stem.endswith("-tuning")):
        with h5py.File(path) as file:
            *grid, seeds, steps = file["score"].shape
            if set(grid) != {1}:
                raise ValueError(f"{path} has several settings, {file['score'].shape}: a result of the ledger has one")
            scores = file["score"][:].astype(float).reshape(seeds, steps)
            found[f"{path.parent.name}/{path.stem}"] = {"steps": file["gradient_step"][:].tolist(), **drawn(scores)}
    return found


def write(folder):
    """Write `still.svg` and what the page reads into a folder of the site; seeds are a byte a score, in base64.

    `curves.js` comes with the page. What is loaded when it is wanted: `seeds.js`, its seeds curve by curve; `results.js`, the ledger's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found, results = curves(), ledger()
    seeds = [coded(curve.pop("seeds")) for curve in found]
    results = {name: result | {"seeds": coded(result["seeds"])} for name, result in results.items()}
    for name, value in (("Curves", {"curves": found, "colours": colours()}), ("Seeds", seeds), ("Results", results)):
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        (folder / f"{name.lower()}.js").write_text(f"globalThis.hanqLab{name} = {text};\n")
    (folder / "still.svg").write_text(still(found, colours()))


def coded(seeds):
    return base64.b64encode(seeds.tobytes()).decode()


STILL = {"HANQ": ("fig6b/HANQ", 10**-1.5), "DQN": ("fig3a/DQN", 10**-2.5), "DQN, no target": ("fig3b/DQN", 10**-2.5)}
FRAME = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 280" font-family="sans-serif" font-size="13" fill="#333">
<rect width="700" height="280" fill="#fff"/>
{}
<text x="670" y="268" text-anchor="end">200,000 gradient steps</text>
</svg>
"""


def still(found, colour_of):
    """The committed scores of STILL's settings, mean and interval, as a picture in SVG."""
    lines = []
    for score in (0, 50, 100):
        lines.append(f'<path d="M50 {250 - 2.2 * score}h620" stroke="#e0e0e0"/>')
        lines.append(f'<text x="44" y="{254 - 2.2 * score}" text-anchor="end">{score}</text>')
    for place, (name, (result, rate)) in enumerate(STILL.items()):
        curve = next(one for one in found if one["result"] == result and np.isclose(one["learningRate"], rate))
        x = 50 + np.array(curve["steps"]) / 200_000 * 620
        mean, low, high = (np.column_stack([x, 250 - 2.2 * np.array(curve[row])]) for row in ("mean", "low", "high"))
        band, line = (" ".join(f"{a:.1f},{b:.1f}" for a, b in path) for path in ([*high, *low[::-1]], mean))
        lines.append(f'<polygon points="{band}" fill="{colour_of[name]}" opacity="0.18"/>')
        lines.append(f'<polyline points="{line}" fill="none" stroke="{colour_of[name]}" stroke-width="2"/>')
        lines.append(f'<rect x="{60 + 130 * place}" y="262" width="14" height="4" fill="{colour_of[name]}"/>')
        lines.append(f'<text x="{80 + 130 * place}" y="268">{name}</text>')
    return FRAME.format("\n".join(lines))


def add_scripts(app, pagename, templatename, context, doctree):
    """Pages without a laboratory load nothing of it."""
    if 'class="hanq-lab"' in context.get("body", ""):
        app.add_css_file("lab/lab.css")
        for script in SCRIPTS:
            app.add_js_file(f"lab/{script}", loading_method="defer")


def finish(app, error):
    if error is None and app.builder.format == "html":
        write(Path(app.outdir) / "_static" / "lab")


def setup(app):
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
