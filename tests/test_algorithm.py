"""Promise: an Algorithm is a checked value, and a Network says which numbers it learns."""

import inspect
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
import torch
from helpers import ALGORITHMS
from hypothesis import given, settings
from hypothesis import strategies as st

import hanq
from hanq.algorithm import CHOICES, Algorithm, Network
from hanq.algorithm.choices import OPEN_CHOICES, RANGES, OpenChoices

algorithms = st.builds(
    Algorithm,
    **{name: st.sampled_from(allowed) for name, allowed in CHOICES.items()},
    hidden_features=st.integers(2, 9),
    hyper_beta_2=st.floats(0, 1, exclude_max=True),
    hyper_second_moment=st.floats(0, 1e30),
)
prop = settings(deadline=None, derandomize=True, max_examples=150)

BAD = [
    ("predictor", "linear"),
    ("predictor", None),
    ("predictor", ["meta"]),
    ("main_norm", "batch"),
    ("main_norm", True),
    ("predictor_norm", "L2"),
    ("hyperobjective", "full"),
    ("hidden_layers", 0),
    ("hidden_layers", 3),
    ("hidden_layers", True),
    ("hidden_layers", 1.0),
    ("positive_scale", 1),
    ("predictor_bias", "yes"),
    ("symmetric", None),
    ("norm_first", 0),
    ("hidden_features", 0),
    ("hidden_features", -4),
    ("hidden_features", 128.0),
    ("hidden_features", True),
    ("hidden_features", "128"),
    ("norm_affine", 1),
    ("norm_affine", None),
    ("detached_predictor", 0),
    ("detached_predictor", "no"),
    ("rate_first", 1),
    ("rate_form", "root"),
    ("rate_form", None),
    ("hyper_beta_2", 1.0),
    ("hyper_beta_2", -0.1),
    ("hyper_beta_2", 0),
    ("hyper_beta_2", float("nan")),
    ("hyper_beta_2", "0.9"),
    ("hyper_second_moment", -1e-8),
    ("hyper_second_moment", float("inf")),
    ("hyper_second_moment", float("nan")),
    ("hyper_second_moment", 0),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_value_outside_the_allowed_is_refused_by_name(field, value):
    with pytest.raises(ValueError) as refused:
        replace(hanq.HANQ, **{field: value})
    message = str(refused.value)
    assert f"{field}={value!r}" in message
    for allowed in CHOICES.get(field) or RANGES.get(field, ["at least 1"]):
        assert str(allowed) in message


def test_an_unknown_field_is_refused():
    with pytest.raises(TypeError, match="width"):
        Algorithm(width=64)


def test_one_feature_contradicts_a_normalisation_but_not_an_unused_one():
    for wrong in (dict(main_norm="layer"), dict(main_norm="l2"), dict(predictor="meta", predictor_norm="layer")):
        with pytest.raises(ValueError, match="hidden_features=1 contradicts"):
            Algorithm(hidden_features=1, **wrong)
    Algorithm(hidden_features=1, predictor="direct", predictor_norm="l2")


def test_every_field_has_the_contracts_name_and_choices():
    papers = [name for name in inspect.signature(Algorithm).parameters if name not in OpenChoices.__annotations__]
    assert papers == [
        "predictor",
        "positive_scale",
        "predictor_bias",
        "symmetric",
        "main_norm",
        "predictor_norm",
        "norm_first",
        "hyperobjective",
        "hidden_layers",
        "hidden_features",
    ]
    assert set(OpenChoices.__annotations__) == set(OPEN_CHOICES) | set(RANGES)
    assert set(CHOICES) | set(RANGES) | {"hidden_features"} == {field.name for field in fields(Algorithm)}


def test_named_algorithms_are_the_papers():
    assert Algorithm(predictor="none", main_norm="none", hidden_layers=1, hidden_features=128) == hanq.DQN
    assert replace(hanq.DQN, main_norm="layer") == hanq.DQN_LN
    assert replace(hanq.DQN, main_norm="l2") == hanq.DQN_L2N
    assert replace(hanq.DQN_LN, norm_first=True) == hanq.PQN
    assert (hanq.SSAQ.predictor, hanq.SSAQ.positive_scale, hanq.SSAQ.predictor_bias) == ("direct", False, False)
    assert replace(hanq.SSAQ, main_norm="layer") == hanq.SSANQ
    h = hanq.HANQ
    assert (h.predictor, h.positive_scale, h.predictor_bias, h.symmetric) == ("meta", True, True, False)
    assert (h.main_norm, h.predictor_norm, h.norm_first, h.hyperobjective) == ("layer", "l2", False, "residual")
    named = (hanq.DQN, hanq.DQN_LN, hanq.DQN_L2N, hanq.PQN, hanq.SSAQ, hanq.SSANQ, hanq.HANQ)
    assert len(set(named)) == 7


def test_fields_that_a_predictor_does_not_use_break_neither_equality_nor_hash():
    unused = dict(
        positive_scale=False,
        predictor_bias=False,
        symmetric=True,
        predictor_norm="layer",
        norm_first=True,
        norm_affine=False,
        detached_predictor=True,
    )
    same = replace(hanq.DQN, **unused)
    assert same == hanq.DQN and hash(same) == hash(hanq.DQN)
    l2 = replace(hanq.HANQ, main_norm="l2")
    assert replace(l2, norm_affine=False) == l2
    direct = replace(hanq.HANQ, predictor="direct")
    assert replace(direct, detached_predictor=True) == direct
    assert direct == replace(direct, predictor_norm="none") and len({direct, replace(direct, predictor_norm="none")}) == 1
    assert replace(hanq.HANQ, predictor="none") == hanq.DQN_LN


def test_fields_that_are_used_do_break_equality():
    for field, value in dict(
        positive_scale=False,
        predictor_bias=False,
        symmetric=True,
        predictor_norm="none",
        main_norm="l2",
        norm_first=True,
        hyperobjective="semi",
        hidden_layers=2,
        hidden_features=64,
        predictor="direct",
        norm_affine=False,
        detached_predictor=True,
        rate_first=False,
        rate_form="raw",
        hyper_beta_2=0.9,
        hyper_second_moment=1e-8,
    ).items():
        assert replace(hanq.HANQ, **{field: value}) != hanq.HANQ, field
    assert replace(hanq.DQN_LN, norm_first=True) != hanq.DQN_LN
    in_predictor = replace(hanq.HANQ, main_norm="none", predictor_norm="layer")
    assert replace(in_predictor, norm_affine=False) != in_predictor
    assert hanq.DQN != "DQN"


@prop
@given(algorithms, algorithms)
def test_equal_algorithms_hash_alike_and_have_the_same_parameters(one, other):
    assert one == one.__class__(**one.canonical()) and hash(one) == hash(Algorithm(**one.canonical()))
    if one == other:
        assert hash(one) == hash(other)
        assert Network(one, 4, 3).shapes == Network(other, 4, 3).shapes


@prop
@given(algorithms, algorithms)
def test_replacing_every_field_there_and_back_gives_the_same_value(one, other):
    there = replace(one, **{field.name: getattr(other, field.name) for field in fields(other)})
    assert there == other
    assert replace(there, **{field.name: getattr(one, field.name) for field in fields(one)}) == one


def test_an_algorithm_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        hanq.DQN.predictor = "meta"


def test_sizes_are_those_of_the_paper_on_pendulum():
    sizes = {name: Network(getattr(hanq, name), 3, 3).size for name in ("DQN", "DQN_LN", "SSAQ", "HANQ")}
    assert sizes == {"DQN": 899, "DQN_LN": 1155, "SSAQ": 900, "HANQ": 1413}
    three_layers = Network(replace(hanq.DQN_LN, hidden_layers=2), 3, 3).size
    assert 10 * sizes["HANQ"] < three_layers < 13 * sizes["HANQ"]  # section 9.1: "over 10 times as many"


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_size_counts_what_torch_modules_would_hold(algorithm):
    n, outputs = algorithm.hidden_features, 1 + algorithm.predictor_bias
    modules = [torch.nn.Linear(4, n), torch.nn.Linear(n, 3)]
    modules += [torch.nn.Linear(n, n)] * (algorithm.hidden_layers - 1)
    affine = algorithm.norm_affine
    modules += [torch.nn.LayerNorm(n, elementwise_affine=affine)] * (algorithm.main_norm == "layer")
    if algorithm.predictor == "meta":
        modules += [torch.nn.Linear(n, outputs)]
        modules += [torch.nn.LayerNorm(n, elementwise_affine=affine)] * (algorithm.predictor_norm == "layer")
    direct = outputs * (algorithm.predictor == "direct")
    total = sum(p.numel() for module in modules for p in module.parameters()) + direct
    assert Network(algorithm, 4, 3).size == total


@pytest.mark.parametrize("library", [np, torch])
@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_views_cover_each_parameter_once_and_write_through(algorithm, library):
    network = Network(algorithm, 4, 3)
    params = library.zeros((2, 5, network.size))
    for name, view in network.views(params).items():
        assert tuple(view.shape) == (2, 5, *network.shapes[name])
        view += 1
    assert (params == 1).all()
    assert [view.shape for view in network.views(params[0, 0]).values()] == list(network.shapes.values())


def test_views_do_not_mix_agents():
    network = Network(hanq.HANQ, 4, 3)
    params = np.repeat(np.arange(6.0)[:, None], network.size, axis=1)
    for view in network.views(params).values():
        assert (view.reshape(6, -1) == np.arange(6.0)[:, None]).all()
