"""Floating-point multipliers of the catalog: check values, and figures to their printed precision."""

import pytest

import catalog
from catalog.catalog import FloatEntry, float_entries
from multipliers import ParameterError, UnknownNameError
from multipliers.floating import float_metrics

ENTRIES = {entry.label: entry for entry in float_entries()}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_entry_rebuilds_with_its_check_value(entry):
    assert entry.build().name == entry.label
    assert entry.measure_check() == entry.check


@pytest.mark.parametrize("entry", [e for e in ENTRIES.values() if e.figures], ids=lambda e: e.label)
def test_figures_are_reproduced_to_their_printed_precision(entry):
    core, metrics = entry.build().significand, float_metrics(entry.build())
    measured = {f: getattr(metrics, f.metric) * f.scale(core.a, core.b) for f in entry.figures}
    assert not {f.metric: value for f, value in measured.items() if not f.agrees(value)}


def test_labels_are_unique_and_cores_of_their_family():
    assert len(ENTRIES) == len(float_entries()) >= 12
    for family in catalog.families():
        assert all(entry.build().significand.family == family.family for entry in family.floating)
    assert {"mitchell", "afm", "exact", "cfpu"} <= {f.family for f in catalog.families() if f.floating}


def test_figures_are_relative_errors():
    wce = next(f for e in catalog.entries() for f in e.figures if f.metric == "wce")
    with pytest.raises(UnknownNameError, match="unknown relative error 'wce'"):
        FloatEntry("e8m7_exact8u", "", (wce,))
    lsb = next(f for e in ENTRIES.values() for f in e.figures)
    with pytest.raises(ParameterError, match="its unit is '%', not 'LSB'"):
        FloatEntry("e8m7_exact8u", "", (type(lsb)("mre", "1", "LSB", "paper", "V"),))
