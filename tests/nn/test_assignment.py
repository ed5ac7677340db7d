"""Multipliers for layers: the knapsack against enumeration, budgets, and files."""

import itertools
import json

import numpy as np
import pytest
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import nn

from multipliers import TableMultiplier, get
from surrogate.nn import ApproxConfig, QuantiserConfig, approximate_, approximate_layers, calibrate
from surrogate.nn.assignment import Assignment, AssignmentError, AssignmentSearch
from surrogate.nn.assignment.knapsack import choose
from surrogate.nn.prediction import AccuracyPredictor

POWER = {"exact8s": 0.425, "bam8s_h0v4": 0.391, "trunc8s_t1": 0.301, "trunc8s_t2": 0.2, "ppp8s_j0k6": 0.052}
CONFIG = ApproxConfig(multiplier="exact8s", weight=QuantiserConfig("6s", granularity="tensor"), skip_padding=True)


def network():
    convolution = nn.Conv2d(1, 4, 3, padding=1)
    return nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.fixture(scope="module")
def search():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3)
    )
    images = torch.randn(96, 1, 4, 4)
    with torch.no_grad():
        batches = [(images, model(images).argmax(dim=1))]
    return AssignmentSearch(AccuracyPredictor.measure(model, batches, CONFIG), POWER)


@pytest.mark.parametrize("seed", range(8))
def test_knapsack_is_the_best_of_all_choices(seed):
    rng = np.random.default_rng(seed)
    losses, weights = rng.normal(size=(4, 3)), rng.random((4, 3))
    low, high = weights.min(axis=1).sum(), weights.max(axis=1).sum()
    budget = low + rng.random() * (high - low)
    groups = np.arange(4)
    feasible = [c for c in itertools.product(range(3), repeat=4) if weights[groups, c].sum() <= budget]
    best = min(feasible, key=lambda c: losses[groups, c].sum())
    assert choose(losses, weights, budget).tolist() == list(best)


def program(losses, weights, budget):
    """Solve the knapsack as an integer program; return its loss."""
    one_each = np.kron(np.eye(len(losses)), np.ones(losses.shape[1]))
    constraints = LinearConstraint(one_each, 1, 1), LinearConstraint(weights.reshape(1, -1), -np.inf, budget)
    whole, options = np.ones(losses.size), {"mip_rel_gap": 0.0}
    return milp(losses.ravel(), integrality=whole, bounds=Bounds(0, 1), constraints=constraints, options=options).fun


@pytest.mark.parametrize("most", [1 << 14, 64])
def test_knapsack_of_many_groups_is_that_of_an_integer_program(most, monkeypatch):
    """And close to it where only some of the partial choices are kept."""
    monkeypatch.setattr("surrogate.nn.assignment.knapsack.MAX_FRONT", most)
    rng = np.random.default_rng(0)
    for budget in (0.3, 0.5, 0.8):
        losses, weights = rng.random((9, 6)) ** 3, np.outer(rng.dirichlet(np.ones(9)), rng.random(6))
        weights /= weights.max(axis=1).sum()
        budget = weights.min(axis=1).sum() + budget * (1 - weights.min(axis=1).sum())
        chosen = choose(losses, weights, budget)
        groups = np.arange(9)
        assert weights[groups, chosen].sum() <= budget + 1e-9
        expected = program(losses, weights, budget)
        assert losses[groups, chosen].sum() == pytest.approx(expected, rel=1e-6 if most > 64 else 0.2)


def test_knapsack_takes_the_lighter_of_equal_choices_and_refuses_what_no_choice_meets():
    weights = np.array([[0.5, 0.2, 0.3], [0.1, 0.2, 0.3]])
    assert choose(np.zeros((2, 3)), weights, 1.0).tolist() == [1, 0]
    assert choose(np.zeros((2, 3)), weights, 0.2 + 0.1).tolist() == [1, 0]  # rounded: 0.30000000000000004
    for budget in (0.29, float("nan")):
        with pytest.raises(AssignmentError, match=r"the least is 0\.3"):
            choose(np.zeros((2, 3)), weights, budget)


def test_energies_are_shares_of_the_products(search):
    products = np.array([4 * 100, 512, 24])  # a 3 x 3 kernel on 4 x 4 pixels meets 100 of 144 lanes
    assert list(search.predictor.n_products.values()) == products.tolist()
    expected = np.outer(products / products.sum(), np.array(list(POWER.values())) / 0.425)
    np.testing.assert_allclose(search.energy, expected)
    assert search.least_energy == pytest.approx(0.052 / 0.425)
    assert search.uniform("trunc8s_t2").energy == pytest.approx(0.2 / 0.425)


@pytest.mark.parametrize("budget", [0.13, 0.3, 0.5, 0.8, 1.0])
def test_assignments_meet_the_budget_and_are_predicted_no_worse_than_one_multiplier_everywhere(search, budget):
    found = search.assign(budget)
    assert found.energy <= budget + 1e-9
    uniform = [search.uniform(name) for name in POWER]
    assert found.predicted_accuracy >= max(u.predicted_accuracy for u in uniform if u.energy <= budget)
    assert set(found) == {"0", "3", "5"}
    for config in found.values():
        assert (config.weight, config.skip_padding) == (CONFIG.weight, True)
    each = {name: get(label) for name, label in found.multipliers.items()}
    assert search.predictor.predict(each).accuracy == pytest.approx(found.predicted_accuracy)


def test_mixed_assignments_lie_between_uniform_ones(search):
    names = set(search.assign(0.6).multipliers.values())
    assert len(names) > 1


def test_budgets_and_energies_that_cannot_be_are_refused(search):
    said = r"meets a budget of 10 % of the energy with exact8s in every layer: the least is 12.2353 %, with ppp8s_j0k6"
    with pytest.raises(AssignmentError, match=said):
        search.assign(0.1)
    with pytest.raises(AssignmentError, match="nan %"):
        search.assign(float("nan"))
    assert search.assign(search.least_energy).multipliers == dict.fromkeys(("0", "3", "5"), "ppp8s_j0k6")
    with pytest.raises(AssignmentError, match="drum8s_k4 is no candidate: exact8s, bam8s_h0v4"):
        search.uniform("drum8s_k4")
    for energies, said in (
        ({}, "no candidates"),
        ({"exact8s": 0.0}, "positive"),
        ({"exact8s": float("inf")}, "positive"),
    ):
        with pytest.raises(AssignmentError, match=said):
            AssignmentSearch(search.predictor, energies)


def test_an_assignment_is_saved_loaded_and_applied(search, tmp_path):
    found = search.assign(0.6)
    path = tmp_path / "assignment.json"
    found.save(path)
    loaded = Assignment.load(path)
    assert loaded == found
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3)
    )
    assert approximate_(model, loaded) == ("0", "3", "5")
    calibrate(model, [torch.rand(2, 1, 4, 4)])
    assert {name: layer.config.name for name, layer in approximate_layers(model)} == found.multipliers
    assert model[0].weight_quantiser.operand.label == "6s"


def test_own_multipliers_are_passed_when_an_assignment_is_loaded(tmp_path):
    own = TableMultiplier(get("trunc8s_t1").table(), "8s", name="mine")
    path = tmp_path / "own.json"
    Assignment({"0": ApproxConfig(multiplier=own)}, 0.5, 0.9).save(path)
    with pytest.raises(AssignmentError, match=r"own.json: layer '0' has .* 'mine'.*pass it in multipliers="):
        Assignment.load(path)
    assert Assignment.load(path, [own])["0"].multiplier == own
    other = TableMultiplier(get("trunc8s_t2").table(), "8s", name="mine")
    with pytest.raises(AssignmentError, match=r"of fingerprint fc0c6f73ce57\.\.\., and the one of this name"):
        Assignment.load(path, [other])


def damaged(change):
    config = ApproxConfig(multiplier="trunc8s_t1", weight=QuantiserConfig("4s"))
    layer = {"multiplier": "trunc8s_t1", "fingerprint": config.reference.fingerprint, "settings": {}}
    data = {
        "format": "axsurrogate.assignment",
        "version": 1,
        "energy": 0.5,
        "predicted_accuracy": 0.9,
        "layers": {"0": layer},
    }
    change(data, layer)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data, layer: data.update(format="other"), "format is 'other'"),
        (lambda data, layer: data.update(version=2), "version is 2, this axsurrogate reads 1"),
        (lambda data, layer: data.pop("layers"), "lacks 'layers'"),
        (lambda data, layer: data.update(layers=[1]), "is no assignment"),
        (lambda data, layer: data.update(energy="much"), "is no assignment"),
        (lambda data, layer: layer.pop("fingerprint"), "lacks 'fingerprint'"),
        (lambda data, layer: layer.update(multiplier="nothing8u"), "'nothing8u', which is no design"),
        (lambda data, layer: layer.update(multiplier=["x"]), "is no assignment"),
        (lambda data, layer: layer.update(settings={"backend": "magic"}), "layer '0': its settings are wrong.*backend"),
        (lambda data, layer: layer.update(settings={"wait": 3}), "layer '0': its settings are wrong"),
        (lambda data, layer: layer.update(settings={"weight": {"operand": "9x"}}), "layer '0': its settings are wrong"),
        (lambda data, layer: layer.update(settings={"multiplier": "exact8s"}), "layer '0': its settings are wrong"),
    ],
)
def test_damaged_files_are_refused(tmp_path, change, said):
    path = tmp_path / "assignment.json"
    path.write_text(damaged(change))
    with pytest.raises(AssignmentError, match=said) as caught:
        Assignment.load(path)
    assert str(caught.value).startswith(str(path))


def test_files_that_are_no_json_are_refused(tmp_path):
    path = tmp_path / "assignment.json"
    for content in (b"", b"{", b"\xff\xfe", b"3"):
        path.write_bytes(content)
        with pytest.raises(AssignmentError, match="is no assignment"):
            Assignment.load(path)
    with pytest.raises(FileNotFoundError):
        Assignment.load(tmp_path / "missing.json")


def test_a_given_surrogate_has_no_place_in_a_file(tmp_path):
    import surrogate

    config = ApproxConfig(surrogate=surrogate.discover(get("trunc8s_t1")))
    with pytest.raises(AssignmentError, match="layer 'x' has a surrogate and no multiplier"):
        Assignment({"x": config}, 1.0, 1.0).save(tmp_path / "x.json")
