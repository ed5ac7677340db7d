"""Search, Pareto front and tables of circuits, against plain definitions."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import catalog
from catalog.circuit import COSTS, Circuit
from catalog.frame import record
from catalog.pareto import pareto_front
from catalog.quantities import METRICS, parse_value, quantity, size_of, text_of, value_of
from catalog.query import Query, ordered, search
from multipliers import OperandFormat, ParameterError, UnknownNameError
from multipliers.metric_values import ErrorMetrics
from multipliers.metrics import error_metrics


def circuit(name="x", a="8u", b=None, family="f", origin="lib", metrics=None, costs=None):
    first, second = OperandFormat.parse(a), OperandFormat.parse(b or a)
    return Circuit(name, origin, family, first, second, "0" * 64, True, "exhaustive", metrics or {}, costs or {})


# small whole numbers, so that ties and duplicates are frequent; NaN and absent ones are not known
VALUES = st.one_of(st.integers(-4, 4).map(float), st.sampled_from([math.nan, math.inf, None]))


@st.composite
def clouds(draw):
    pairs = draw(st.lists(st.tuples(VALUES, VALUES), max_size=25))
    return [
        circuit(f"c{i}", metrics={} if x is None else {"mean_error": x}, costs={} if y is None else {"power": y})
        for i, (x, y) in enumerate(pairs)
    ]


def brute_force(circuits):
    def point(c):
        return abs(c.metrics.get("mean_error", math.nan)), abs(c.costs.get("power", math.nan))

    def beaten(c):
        x, y = point(c)
        return any(p <= x and q <= y and (p, q) != (x, y) for p, q in map(point, circuits))

    return {c.name for c in circuits if not any(map(math.isnan, point(c))) and not beaten(c)}


@given(clouds())
def test_front_is_what_no_circuit_beats(circuits):
    front = pareto_front(circuits, "mean_error", "power")
    assert {c.name for c in front} == brute_force(circuits)
    assert len({c.name for c in front}) == len(front)
    points = [(size_of(c, "mean_error"), size_of(c, "power")) for c in front]
    assert points == sorted(points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)


@given(clouds(), st.randoms())
def test_front_does_not_depend_on_the_order_nor_on_which_axis_is_first(circuits, random):
    shuffled = circuits[:]
    random.shuffle(shuffled)
    front = pareto_front(circuits, "bias", "power")
    assert pareto_front(shuffled, "bias", "power") == front
    assert {c.name for c in pareto_front(circuits, "power", "bias")} == {c.name for c in front}


def test_equal_circuits_are_all_on_the_front_or_none():
    same = [circuit(name, metrics={"mre": 0.1}, costs={"power": 1.0}) for name in ("b", "a")]
    better = circuit("z", metrics={"mre": 0.05}, costs={"power": 1.0})
    assert [c.name for c in pareto_front(same, "mre", "power")] == ["a", "b"]
    assert pareto_front([*same, better], "mre", "power") == [better]


def test_unknown_values_are_never_best():
    known = circuit("known", metrics={"mre": 0.5}, costs={"power": 9.0})
    unknown = [
        circuit("nan", metrics={"mre": math.nan}, costs={"power": 0.1}),
        circuit("absent", metrics={"mre": 0.1}),
        circuit("nothing"),
    ]
    assert pareto_front([*unknown, known], "mre", "power") == [known]
    for descending in (False, True):
        by_mre = ordered([unknown[0], unknown[2], known], "mre", descending)
        assert by_mre[0] is known
    assert Query(minimum={"power": 0}).select([*unknown, known]).circuits == [unknown[0], known]
    assert Query(maximum={"mre": 1}).select([*unknown, known]).circuits == [unknown[1], known]


CIRCUITS = [
    circuit("drum8u_k4", "8u", family="drum", metrics={"mre": 0.0589}, costs={"power": 0.2, "terms": 1}),
    circuit("drum8s_k4", "8s", family="drum", metrics={"mre": 0.0586}),
    circuit("drum16u_k6", "16u", family="drum", metrics={"mre": 0.0147}),
    circuit("mul8x4u_ABC", "8u", "4u", family="mul8x4u", origin="evoapprox@v2022", metrics={"mre": 0.01}),
    circuit("exact8sx4u", "8s", "4u", family="exact", metrics={"mre": 0.0}),
]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["drum8u_k4", "drum8s_k4", "drum16u_k6", "mul8x4u_ABC", "exact8sx4u"]),
        ({"bits": 8}, ["drum8u_k4", "drum8s_k4"]),
        ({"a": "8u"}, ["drum8u_k4", "mul8x4u_ABC"]),
        ({"a": "8u", "b": "4u"}, ["mul8x4u_ABC"]),
        ({"b": "8u"}, ["drum8u_k4"]),
        ({"signed": True}, ["drum8s_k4"]),
        ({"signed": False}, ["drum8u_k4", "drum16u_k6", "mul8x4u_ABC"]),
        ({"family": "drum", "bits": 16}, ["drum16u_k6"]),
        ({"name": "abc"}, ["mul8x4u_ABC"]),
        ({"name": "DRUM*_k?"}, ["drum8u_k4", "drum8s_k4", "drum16u_k6"]),
        ({"name": "k4*"}, []),
        ({"origin": "evoapprox"}, ["mul8x4u_ABC"]),
        ({"maximum": {"mre": 0.0147}}, ["drum16u_k6", "mul8x4u_ABC", "exact8sx4u"]),
        ({"maximum": {"MRED": "1.47%"}, "minimum": {"mre": "1 %"}}, ["drum16u_k6", "mul8x4u_ABC"]),
        ({"maximum": {"power": "200uW"}}, ["drum8u_k4"]),
        ({"sort": "mre", "limit": 2}, ["exact8sx4u", "mul8x4u_ABC"]),
        ({"sort": "mre", "descending": True, "limit": 1}, ["drum8u_k4"]),
        ({"sort": "name", "limit": 2}, ["drum16u_k6", "drum8s_k4"]),
    ],
)
def test_search_keeps_what_passes_every_filter(filters, names):
    assert [c.name for c in search(CIRCUITS, **filters)] == names


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"bits": 12}, "'12 bits' removed the last 5 circuits"),
        (
            {"family": "drum", "maximum": {"mre": "1%"}},
            "'mre at most 0.01' removed the last 3 circuits: mre is 0.0147 to",
        ),
        (
            {"name": "exact", "minimum": {"power": 1}},
            "'power at least 1 mW' removed the last circuit: none has a known",
        ),
        ({"bits": 8, "minimum": {"terms": 2}}, "removed the last 2 circuits: terms is 1"),
    ],
)
def test_empty_selection_names_the_filter_that_removed_the_last(filters, said):
    selection = Query(**filters).select(CIRCUITS)
    assert selection.circuits == []
    assert said in selection.emptied_by


@pytest.mark.parametrize(
    ("filters", "error", "said"),
    [
        ({"maximum": {"mer": 1}}, UnknownNameError, "unknown metric or cost 'mer'; did you mean"),
        ({"sort": "powre"}, UnknownNameError, "did you mean 'power'"),
        ({"family": "drun"}, UnknownNameError, "did you mean 'drum'"),
        ({"widht": 8}, UnknownNameError, "unknown filter 'widht'"),
        ({"bits": 64}, ParameterError, "from 1 to 32, got 64"),
        ({"a": "8"}, ParameterError, "such as '8u'"),
        ({"maximum": {"mre": "small"}}, ParameterError, "mre: 'small' is no number"),
        ({"maximum": {"mae": "2%"}}, ParameterError, "'%' is no unit of it; .* LSB; nmed is"),
        ({"maximum": {"terms": "2mW"}}, ParameterError, "'mW' is no unit of it; write a plain number$"),
        ({"maximum": {"mre": math.nan}}, ParameterError, "is no number"),
        ({"limit": 0}, ParameterError, "limit must be a number of circuits from 1, got 0"),
    ],
)
def test_what_is_not_understood_is_an_error(filters, error, said):
    with pytest.raises(error, match=said):
        search(CIRCUITS, **filters)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("2%", "mre", 0.02),
        (" 0.5 % ", "nmed", 0.005),
        ("1e-3", "mre", 0.001),
        ("-3 LSB", "mean_error", -3.0),
        (".5", "sd", 0.5),
        (7, "wce", 7.0),
        ("0.3W", "power", 300.0),
        ("0.5mm2", "area", 500_000.0),
        ("250 ps", "delay", 0.25),
        ("4", "terms", 4.0),
        ("1bit", "mhd", 1.0),
    ],
)
def test_values_are_read_with_their_units(text, name, value):
    assert parse_value(text, quantity(name)) == pytest.approx(value, rel=1e-15)


def test_every_numeric_metric_is_a_quantity():
    words = {"n_pairs", "comparison", "weighted", "wmed", "relative", "normaliser", "intervals"}
    assert set(METRICS) == set(ErrorMetrics.__dataclass_fields__) - words
    assert not set(METRICS) & set(COSTS)


def test_lower_bounds_are_written_as_such():
    assert text_of(circuit(a="8u", costs={"terms": 3}), "terms") == "3"
    assert text_of(circuit(a="16u", costs={"terms": 3}), "products") == ">= 3"
    assert text_of(circuit(), "mre") == "-"


def test_catalog_is_searched_unless_other_circuits_are_given():
    found = catalog.search(bits=8, signed=True, family="bam")
    assert {c.name for c in found} == {e.label for f in catalog.families() for e in f.entries if e.label[:5] == "bam8s"}
    measured = error_metrics(catalog.entry(found[0].name).build())
    for name in METRICS:
        assert value_of(found[0], name) == pytest.approx(getattr(measured, name), rel=1e-9)
    assert len(catalog.circuits()) == len(catalog.entries())
    assert all(c.costs["terms"] >= 1 for c in catalog.circuits())


def test_published_metrics_are_in_the_units_of_measured_ones():
    by_name = {c.name: c for c in catalog.circuits()}
    assert by_name["drum16u_k6"].published["mre"] == 0.0147
    signed = by_name["bam8s_h0v2"]
    assert signed.published["wce"] == pytest.approx(0.0076 / 100 * 2**16)
    assert signed.metrics["wce"] == 5


def test_dataframe_has_a_row_for_each_circuit_and_units():
    pytest.importorskip("pandas")
    frame = catalog.dataframe(CIRCUITS)
    assert frame["name"].tolist() == [c.name for c in CIRCUITS]
    assert frame["mre"].tolist() == [c.metrics["mre"] for c in CIRCUITS]
    assert frame["power"].isna().tolist() == [False, True, True, True, True]
    assert frame["a"].tolist() == ["8u", "8s", "16u", "8u", "8s"]
    assert (frame.attrs["units"]["power"], frame.attrs["units"]["mae"]) == ("mW", "LSB")
    assert list(catalog.dataframe([]).columns) == list(frame.columns) == list(record(CIRCUITS[0]))
    assert len(catalog.dataframe()) == len(catalog.entries())


def test_dataframe_without_pandas_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'axsurrogate\[pandas\]'"):
        catalog.dataframe(CIRCUITS)
