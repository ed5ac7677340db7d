import dataclasses
import json
import re
from importlib import resources

import pytest

import catalog
import multipliers
from catalog.catalog import Family, Figure
from multipliers import ParameterError, UnknownNameError
from multipliers.metrics import error_metrics
from multipliers.multiplier import MAX_TABLE_ENTRIES

ENTRIES = {entry.label: entry for entry in catalog.entries()}
WIDE = {label for label, entry in ENTRIES.items() if entry.build().n_pairs > 1 << 20}


def test_every_family_of_designs_is_in_the_catalog():
    assert {f.family for f in catalog.families()} == set(multipliers.families())


def test_catalog_holds_a_range_of_widths_and_signs():
    assert len(ENTRIES) == len(catalog.entries()) >= 25
    formats = {(entry.build().a.bits, entry.build().a.signed) for entry in catalog.entries()}
    assert formats >= {(bits, signed) for bits in (8, 12, 16) for signed in (False, True)}


@pytest.mark.parametrize("family", catalog.families(), ids=lambda f: f.family)
def test_family_is_documented_and_holds_its_own_entries(family):
    for text in (family.title, family.definition, family.sign_rule, family.source):
        assert text.strip() == text != ""
    for entry in family.entries:
        assert multipliers.naming.parse_label(entry.label).family == family.family


@pytest.mark.parametrize("label", [pytest.param(x, marks=[pytest.mark.slow] * (x in WIDE)) for x in ENTRIES])
def test_entry_rebuilds_with_its_check_value(label):
    entry = ENTRIES[label]
    assert entry.build().name == label
    assert entry.measure_check() == entry.check


@pytest.mark.parametrize(
    "label", [pytest.param(x, marks=[pytest.mark.slow] * (x in WIDE)) for x, entry in ENTRIES.items() if entry.figures]
)
def test_published_figures_are_reproduced_to_their_printed_precision(label, sampled_metrics):
    entry = ENTRIES[label]
    multiplier = entry.build()
    metrics = error_metrics(multiplier) if multiplier.n_pairs <= MAX_TABLE_ENTRIES else sampled_metrics(multiplier)
    wrong = {
        f"{figure.metric} = {figure.value} {figure.unit} ({figure.source})": value
        for figure in entry.figures
        if not figure.agrees(value := figure.convert(metrics, multiplier))
    }
    assert not wrong


def test_entries_are_sorted_files_with_the_fields_of_the_classes():
    for file in resources.files("catalog").joinpath("entries").iterdir():
        data = json.loads(file.read_text())
        assert file.name == f"{data['family']}.json"
        with pytest.raises(TypeError):
            Family.from_dict({**data, "surprise": 1})


def test_unknown_entry_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="'drum16u_k66'; did you mean 'drum16u_k6'"):
        catalog.entry("drum16u_k66")
    assert catalog.entry("drum16u_k6") is ENTRIES["drum16u_k6"]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"metric": "mrre"}, UnknownNameError, "did you mean 'mre'"),
        ({"unit": "percent"}, UnknownNameError, "unknown unit"),
        ({"status": "X"}, UnknownNameError, "unknown status"),
        ({"value": "1e3"}, ParameterError, "'1e3' is not a decimal"),
        ({"measured": "1.48"}, ParameterError, "needs a note"),
    ],
)
def test_figures_validate_themselves(fields, error, message):
    good = {"metric": "mre", "value": "1.47", "unit": "%", "source": "paper", "status": "V"}
    with pytest.raises(error, match=message):
        Figure(**{**good, **fields})


def test_figures_agree_within_half_a_unit_of_their_last_digit():
    figure = Figure("mre", "1.47", "%", "paper", "V")
    assert figure.agrees(1.465)
    assert figure.agrees(1.4749)
    assert not figure.agrees(1.4649)
    assert not figure.agrees(1.4751)


def test_entries_are_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalog.entry("exact8u").label = "other"


def test_costs_are_those_published_for_the_circuit_that_an_entry_equals(shared):
    index = {circuit["name"]: circuit for circuit in json.loads((shared / "evoapprox" / "index.json").read_text())}
    names = {"power": "PDK45_PWR", "area": "PDK45_AREA", "delay": "PDK45_DELAY"}
    checked = set()
    for entry in catalog.entries():
        if entry.costs is None:
            continue
        name = re.search(r"header of (\w+); 45 nm", entry.costs.source)[1]
        assert any(name in same for same in entry.same_as)
        published = index[name]["published"]
        assert entry.costs.values() == {cost: published[figure] for cost, figure in names.items()}
        checked.add(name)
    assert len(checked) == 14  # every signed 8 x 8 circuit of the release, and the unsigned exact one
    circuit = next(c for c in catalog.circuits() if c.name == "trunc8s_t1")
    assert {"power", "area", "delay", "terms"} == set(circuit.costs)
