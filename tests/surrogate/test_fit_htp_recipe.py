"""The recipe beyond what was published: levels per operand, bits, sparse solvers, and the report of what each costs."""

import itertools
import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

import multipliers
from multipliers import CallableMultiplier, OperandFormat, TableMultiplier
from surrogate import FitError, discover
from surrogate.basis import Bit, Constant, Identity, LeadingOneTruncate, Mod
from surrogate.fit.htp import fit_htp
from surrogate.fit.recipe import GRID_VALUES, Grid, fit_recipe, models
from surrogate.fit.recipe_dictionary import BASES, dictionary
from surrogate.fit.recipe_report import recipe_report
from surrogate.fit.recipe_solvers import SOLVERS

A, B = OperandFormat(7), OperandFormat(6, True)
PRODUCT = (Identity(), Identity())


def planted(terms, a=A, b=B):
    """Tabulate a model, given as {(g, h): coefficient}, with integer coefficients."""
    x, y = a.values()[:, None], b.values()
    return TableMultiplier(sum(c * g(x) * h(y) for (g, h), c in terms.items()), a, b, name="planted")


def as_dict(terms):
    return {(t.a, t.b): t.coefficient for t in terms}


def values_of(terms, a, b):
    x, y = a.values()[:, None], b.values()
    return sum((t.coefficient * t.a(x) * t.b(y) for t in terms), np.zeros((a.size, b.size)))


TWO_LEVELS = {PRODUCT: 1, (Mod(2), Mod(4)): -2, (Mod(5), Identity()): 3, (Constant(), Constant()): 7}
OF_BITS = {PRODUCT: 1, (Bit(2), Bit(4)): -40, (Bit(0), Bit(1)): 3, (Bit(3), Constant()): 11}
TRUNCATED = {(LeadingOneTruncate(2), LeadingOneTruncate(4, True)): 1}


@pytest.mark.parametrize(
    ("terms", "options"),
    [
        (TWO_LEVELS, {"basis": "mod", "levels": 2}),
        (TWO_LEVELS, {"basis": "mod", "levels": ((2, 5), [4])}),
        (TWO_LEVELS, {"basis": "mod", "solver": "omp"}),
        (TWO_LEVELS, {"basis": "mod", "solver": "omp", "terms": 4}),
        (TWO_LEVELS, {"basis": "mod", "solver": "lasso", "levels": ((2, 5), (4,))}),
        (OF_BITS, {"basis": "bits", "solver": "omp"}),
        (OF_BITS, {"basis": "bits", "levels": ((0, 2, 3), (1, 4))}),
        (OF_BITS, {"basis": "all", "solver": "omp"}),
        (TRUNCATED, {"basis": "leading_one", "levels": 1}),
        (TRUNCATED, {"basis": "leading_one", "solver": "omp"}),
        (TRUNCATED, {"basis": "leading_one", "solver": "lasso"}),
        (TRUNCATED, {"basis": "all"}),
    ],
    ids=str,
)
def test_planted_models_come_back(terms, options):
    m = planted(terms)
    found = fit_htp(m, **options)
    np.testing.assert_array_equal(values_of(found, A, B), m.table())
    if options["basis"] != "all":  # where several functions can say the same
        assert as_dict(found) == terms


def test_discover_passes_options_on_and_notes_them():
    m = planted(TWO_LEVELS)
    s = discover(m, method="htp", basis="mod", solver="omp", decimals=0)
    assert s.is_exact
    assert dict(s.provenance.options) == {"basis": "mod", "decimals": 0, "solver": "omp", "levels": None}
    s = discover(m, method="htp", basis="mod", levels=((2, 5), (4,)))
    assert s.is_exact
    assert dict(s.provenance.options)["levels"] == "((2, 5), (4,))"
    assert set(dict(discover(m, method="htp").provenance.options)) == {"basis", "decimals"}
    for options in ({"solver": "omp"}, {"levels": 2}):
        with pytest.raises(FitError, match="is an option of method 'htp', not of 'exact'"):
            discover(m, method="exact", **options)


def test_truncation_levels_of_operands_differ():
    """The published grid truncates both operands alike; the search over levels finds 2 and 4 bits."""
    m = planted(TRUNCATED)
    published = discover(m, method="htp", basis="leading_one").certificate.rms_residual
    assert published > 1
    (term,) = fit_htp(m, basis="leading_one", levels=1)
    assert (term.a, term.b) == (LeadingOneTruncate(2), LeadingOneTruncate(4, True))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["mod", "bits"]))
def test_separable_least_squares_is_least_squares(seed, basis):
    """Against scikit-learn's regression on all products of every grid point."""
    rng = np.random.default_rng(seed)
    m = TableMultiplier(rng.integers(-50, 50, size=(16, 8)), "4s", "3u")
    grid = Grid.of(m)
    pairs = np.stack(np.meshgrid(grid.a, grid.b, indexing="ij"), axis=-1).reshape(-1, 2)
    for model in models(grid, m.a, m.b, basis=basis, solver="ols"):
        design = np.stack(
            [g(pairs[:, 0]) * h(pairs[:, 1]) for g, h in itertools.product(model.functions_a, model.functions_b)],
            axis=1,
        )
        expected = LinearRegression(fit_intercept=False).fit(design, grid.products.ravel())
        residual = expected.predict(design) - grid.products.ravel()
        np.testing.assert_allclose(grid.residual(model).ravel(), residual, atol=1e-8)


@pytest.mark.parametrize("solver", ["omp", "lasso"])
@pytest.mark.parametrize("basis", BASES)
def test_sparse_solvers_keep_their_limit_and_improve_with_it(solver, basis):
    m = multipliers.get("mitchell6u")
    residuals = []
    for terms in (1, 3, 9):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = fit_recipe(m, basis=basis, solver=solver, terms=terms, decimals=None)
        assert 1 <= len(found) <= terms
        residuals.append(float(np.square(values_of(found, m.a, m.b) - m.table()).sum()))
    assert residuals[0] >= residuals[1] >= residuals[2]
    exact = m.a.values()[:, None] * m.b.values()
    assert residuals[0] <= np.square(exact - m.table()).sum() * (1 + 1e-12)


@pytest.mark.parametrize("decimals", [0, 2, None])
@pytest.mark.parametrize("solver", SOLVERS)
def test_decimals_are_those_asked_for(solver, decimals):
    found = fit_htp(multipliers.get("mitchell6u"), basis="bits", solver=solver, decimals=decimals)
    rounded = [t.coefficient if decimals is None else round(t.coefficient, decimals) for t in found]
    assert [t.coefficient for t in found] == rounded
    if decimals is None:
        assert any(t.coefficient != round(t.coefficient, 6) for t in found)


def test_defaults_are_the_published_recipe():
    """One level per operand and, for logarithmic designs, the same truncation of both: the better of the two."""
    for label in ("bam8u_h2v5", "drum8u_k4", "mitchell8s", "trunc7u_t3"):
        m = multipliers.get(label)
        found = fit_htp(m)
        functions = [{f for t in found for f in (getattr(t, x),)} - {Constant(), Identity()} for x in "ab"]
        assert all(len(used) <= 1 for used in functions)
        if any(isinstance(f, LeadingOneTruncate) for used in functions for f in used):
            assert functions[0] == functions[1]
        residuals = []
        for basis in ("auto", "mod", "leading_one"):
            table = values_of(fit_htp(m, basis=basis), m.a, m.b)
            residuals.append(float(np.square(table - m.table()).sum()))
        assert residuals[0] == min(residuals[1:])


def test_grid_of_wide_operands_covers_the_plane():
    m = multipliers.get("exact16x9u")
    grid = Grid.of(m)
    assert grid.products.shape == (GRID_VALUES, 512)
    assert not grid.every_pair
    assert len(np.unique(grid.a // 128)) == GRID_VALUES
    np.testing.assert_array_equal(grid.b, np.arange(512))
    np.testing.assert_array_equal(grid.products, np.multiply.outer(grid.a, grid.b))
    assert abs(grid.a.mean() - 32767.5) < 100
    assert Grid.of(multipliers.get("exact9s")).every_pair


def test_wide_operands_beyond_the_published_grid():
    m = CallableMultiplier(
        lambda a, b: a * b - 5 * (a & 7) * (b & 63) - 3 * (a & 1023) * (b & 63),
        OperandFormat(16),
        OperandFormat(14, True),
    )
    found = fit_htp(m, basis="mod", solver="omp", decimals=0)
    assert as_dict(found) == {PRODUCT: 1, (Mod(3), Mod(6)): -5, (Mod(10), Mod(6)): -3}


def test_dictionaries_have_no_function_twice():
    for operand in (OperandFormat(1), OperandFormat(1, True), OperandFormat(5), OperandFormat(5, True)):
        for basis in BASES:
            functions = dictionary(basis, operand, None, operand.values())
            columns = {f(operand.values()).tobytes() for f in functions}
            assert len(columns) == len(functions)
            assert functions[:2] == [Constant(), Identity()]


@pytest.mark.parametrize("formats", [("1u", "1s"), ("1s", "4u"), ("2s", "1u")])
@pytest.mark.parametrize("solver", SOLVERS)
def test_narrow_operands(formats, solver):
    a, b = map(OperandFormat.parse, formats)
    table = np.random.default_rng(1).integers(-9, 9, (a.size, b.size))
    for basis in BASES:
        assert len(fit_htp(TableMultiplier(table, a, b), basis=basis, solver=solver)) <= a.size * b.size + 9
    assert fit_htp(TableMultiplier(np.zeros_like(table), a, b), basis="all", solver=solver) == []


def test_report():
    calls = []
    m = multipliers.get("bam6u_h2v4")
    report = recipe_report(m, decimals=(1, None), progress=lambda done, n: calls.append((done, n)))
    assert calls == [(i, 13) for i in range(1, 14)]
    assert [r.basis for r in report.rows[:4]] == ["published", "published", "mod", "mod"]
    assert len(report.rows) == 26
    assert (report.n_pairs, report.every_pair) == (4096, True)
    for row in report.rows:
        options = {} if row.basis == "published" else {"basis": row.basis, "solver": row.solver, "levels": 1}
        if row.solver != "ols":
            del options["levels"]
        terms = fit_htp(m, decimals=row.decimals, **options)
        residual = values_of(terms, m.a, m.b) - m.table()
        assert row.n_terms == len(terms)
        assert row.rms_rounded == pytest.approx(np.sqrt(np.mean(residual**2)), abs=1e-9)
        assert row.wrong_share == pytest.approx(np.mean(np.abs(residual) >= 0.5))
        assert 0 <= row.n_products <= row.n_terms
        if row.decimals is None:
            assert row.rms_fitted == pytest.approx(row.rms_rounded, abs=1e-9)
    assert report.rms_error == pytest.approx(
        np.sqrt(np.mean((m.a.values()[:, None] * m.b.values() - m.table()) ** 2.0))
    )


def test_report_agrees_with_the_certificate():
    m = multipliers.get("mitchell6u")
    certificate = discover(m, method="htp").certificate
    row = recipe_report(m, bases=["mod"], solvers=["omp"], decimals=[1]).rows[0]
    assert row.rms_rounded == pytest.approx(certificate.rms_residual, rel=1e-12)
    assert row.wrong_share == certificate.n_different / certificate.n_pairs


def test_best_row_and_its_limit():
    report = recipe_report(multipliers.get("bam6u_h2v4"), bases=["mod"], decimals=[0, 1])
    assert report.best().rms_rounded == 0
    limited = report.best(max_products=1)
    assert limited.n_products <= 1
    assert limited.rms_rounded == min(r.rms_rounded for r in report.rows if r.n_products <= 1)
    with pytest.raises(FitError, match="at most -1 products; the fewest here are"):
        report.best(max_products=-1)


def test_report_reads_as_json_and_as_text():
    report = recipe_report(multipliers.get("trunc4u_t1"), bases=["mod"], solvers=["omp"], decimals=[None, 0])
    data = json.loads(json.dumps(report.to_dict()))
    assert data["rows"][0]["basis"] == "published"
    assert data["rows"][1]["decimals"] == 0
    assert data["name"] == "trunc4u_t1"
    text = str(report).splitlines()
    assert len(text) == 2 + len(report.rows)
    assert text[0].startswith("trunc4u_t1: RMS error ")
    assert text[0].endswith("on all 256 pairs")
    assert all("(a mod 2), (b mod 2)" in line for line in text[2:])


REFUSALS = [
    ({"solver": "ridge"}, "solver must be one of 'ols', 'omp', 'lasso', got 'ridge'"),
    ({"basis": "fourier"}, "basis must be one of 'auto', 'mod', 'leading_one', 'bits', 'all', got 'fourier'"),
    ({"terms": 4}, "terms is for the solvers 'omp' and 'lasso'"),
    ({"solver": "omp", "terms": 0}, "terms must be a positive integer, got 0"),
    ({"solver": "omp", "levels": 2}, "chooses among all levels at once; levels=2 is for solver='ols'"),
    ({"levels": 0}, "levels must be how many at once"),
    ({"levels": ((1.5,), (2,))}, "levels must be how many at once"),
    ({"levels": (1, 2)}, "levels must be how many at once"),
    ({"basis": "mod", "levels": ((9,), (2,))}, "8u operands have no level 9 of basis 'mod'; there are 1 to 7 for mod"),
    ({"basis": "all", "levels": 3}, "selections, above 20000; take fewer, or solver='omp'"),
]


@pytest.mark.parametrize(("options", "message"), REFUSALS, ids=[m for _, m in REFUSALS])
def test_refusals(options, message):
    with pytest.raises(FitError) as error:
        fit_htp(multipliers.get("exact8u"), **options)
    assert message in str(error.value)


def test_refusals_of_large_dictionaries_and_empty_reports():
    with pytest.raises(FitError, match="take another basis, or give levels"):
        fit_htp(multipliers.get("exact20u"), basis="all", solver="omp")
    with pytest.raises(FitError, match="no level 1 of basis 'mod'; there are none at all"):
        fit_htp(multipliers.get("exact1x8u"), basis="mod", levels=((1,), (1,)))
    with pytest.raises(FitError, match="at least one choice"):
        recipe_report(multipliers.get("exact4u"), decimals=[])
