"""Shipped surrogates: loaded by name, true, complete, and the same bytes when they are made anew."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import catalog
from catalog import build, shipping
from catalog.measured import measurement, measurements
from catalog.shipped import label_of
from catalog.surrogates_page import surrogates_page
from multipliers import get
from multipliers.errors import UnknownNameError
from surrogate import MultiplierReference, Surrogate, SurrogateFileError, dumps, load
from surrogate.basis import Constant

SAMPLE = ["drum8u_k4", "bam8u_h0v6", "cssm8u_m5u3", "etm8s", "ilm8u_i1w5", "afm6u", "mitchell8s"]
EIGHT_BITS = [e.label for e in catalog.entries() if get(e.label).a.bits <= 8 and get(e.label).b.bits <= 8]


@pytest.fixture(scope="module")
def shipped():
    found, wrong = shipping.read(build.SURROGATES)
    assert wrong == []
    return found


@pytest.mark.parametrize("label", SAMPLE)
def test_sample_is_made_anew_as_it_is_stored(label, shipped):
    made = shipping.make(catalog.entry(label))
    assert set(made) == set(catalog.surrogates(label))
    for name, found in made.items():
        assert dumps(replace_release(found, shipped[name].provenance.version)) == dumps(shipped[name])


def replace_release(found, version):
    return Surrogate(found.terms, found.multiplier, replace(found.provenance, version=version), found.certificate)


@pytest.mark.parametrize("name", catalog.surrogates())
def test_every_one_is_what_its_certificate_says(name):
    """The residual over all pairs by an oracle of its own: factors against the products of the design."""
    found, design = catalog.surrogate(name), get(label_of(name))
    assert found.multiplier == MultiplierReference.of(design)
    exact = "." not in name
    assert found.is_exact == exact
    parts = found.factors()
    model = parts.left @ parts.right.T + np.zeros(design.table().shape)
    model += 0 if parts.additive_a is None else parts.additive_a[:, None]
    model += 0 if parts.additive_b is None else parts.additive_b
    residual = model - design.table()
    c = found.certificate
    assert c.comparison == "exhaustive"
    assert (c.n_pairs, c.n_different) == (design.n_pairs, np.count_nonzero(np.abs(residual) >= 0.5))
    assert c.rms_residual == pytest.approx(np.sqrt(np.square(residual).mean()), rel=1e-9, abs=1e-12)
    assert c.max_abs_residual == pytest.approx(np.abs(residual).max(), rel=1e-9, abs=1e-12)
    assert c.residual_bias == 0
    if exact:
        assert not residual.any()
        assert found.n_products <= shipping.MAX_EXACT_PRODUCTS
        needed = measurement(catalog.entry(name)).n_exact_products
        assert needed - 2 <= found.n_products <= needed  # terms with a constant factor are no products
    else:
        assert found.n_products == int(name.rpartition(".p")[2])
        products = [t for t in found.terms if Constant() not in (t.a, t.b)]
        assert all(np.abs(f.values).max() <= 127 and f.is_integer for t in products for f in (t.a, t.b))
        assert c.rms_residual < measurement(catalog.entry(label_of(name))).metrics.rmse


def test_every_design_of_up_to_8_bits_has_one(shipped):
    assert {label_of(name) for name in catalog.surrogates()} == set(EIGHT_BITS)
    assert len(EIGHT_BITS) > 100
    assert set(shipped) == set(catalog.surrogates())
    assert build.stale_surrogates(shipped, measurements()) == []
    size = sum(path.stat().st_size for path in build.SURROGATES.iterdir())
    assert size < 1_500_000


def test_page_has_rank_products_and_certificate_of_every_design():
    page = build.SURROGATES_PAGE.read_text()
    for label in EIGHT_BITS:
        rows = [line.split(" | ") for line in page.splitlines() if line.startswith(f"| `{label}` |")]
        assert len(rows) == len(catalog.surrogates(label))
        m = measurement(catalog.entry(label))
        n_products = catalog.surrogate(label).n_products if len(rows) == 1 else m.n_exact_products
        assert rows[0][2:5] == [str(m.product_rank), str(m.error_rank), str(n_products)]
    assert "| `bam8s_h0v2` | 8s x 8s | 3 | 2 | 3 | exact | 65,536 |" in page
    assert "`a b - (a mod 2) (b mod 4) - 2 bit_1(a) (b mod 2)`" in page


def test_name_is_a_label_or_a_label_with_products():
    assert catalog.surrogates("mitchell8u") == ("mitchell8u.p4", "mitchell8u.p8")
    assert catalog.surrogate("mitchell8u") == catalog.surrogate("mitchell8u.p8")
    with pytest.raises(UnknownNameError, match=r"unknown shipped surrogate 'drum8u_k5'; did you mean 'drum8u_k4'"):
        catalog.surrogate("drum8u_k5")
    with pytest.raises(UnknownNameError, match=r"surrogate\.discover finds others"):
        catalog.surrogate("drum16u_k6")
    assert catalog.surrogates("drum16u_k6") == ()


def test_loading_by_name_needs_numpy_only():
    code = (
        "import catalog, sys; catalog.surrogates(); s = catalog.surrogate('mitchell8u'); s([3], [5]); s.factors(); "
        "print([m for m in ('torch', 'sklearn', 'sympy', 'flint', 'scipy', 'matplotlib', 'rich', 'typer', 'joblib') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=build.CATALOG.parent
    )
    assert done.stdout.strip() == "[]"


def test_surrogate_of_other_products_is_refused(monkeypatch):
    changed = replace(catalog.entry("udm8u"), check="0" * 64)
    monkeypatch.setattr("catalog.shipped.entry", lambda label: changed)
    with pytest.raises(SurrogateFileError, match=r"shipped surrogate udm8u: stands for other products"):
        catalog.surrogate("udm8u")


def test_release_of_the_package_changes_no_stored_byte(shipped):
    found = replace_release(shipped["udm8u"], "99.0")
    assert shipping.agree(found, shipped["udm8u"])
    assert shipping.settled({"udm8u": found}, shipped) == {"udm8u": shipped["udm8u"]}


def altered(surrogate, change, certificate=None):
    """Change the coefficient of the first term."""
    first, *others = surrogate.terms
    terms = [replace(first, coefficient=first.coefficient + change), *others]
    return Surrogate(terms, surrogate.multiplier, surrogate.provenance, certificate or surrogate.certificate)


def test_other_bytes_of_an_exact_one_are_told(shipped):
    exact = shipped["udm8u"]
    reordered = Surrogate(exact.terms[::-1], exact.multiplier, exact.provenance, exact.certificate)
    lines = shipping.differences({"udm8u": exact}, shipped | {"udm8u": reordered})
    assert len(lines) == 1
    assert "surrogate udm8u: found anew as 2 products" in lines[0]
    assert shipping.differences({"new8u": exact}, shipped) == [
        "surrogate new8u: none is stored; run python -m catalog.build"
    ]


def test_approximate_one_of_other_bytes_passes_only_with_a_true_certificate_and_as_little_residual(shipped):
    name = "afm6u.p4"
    found = shipped[name]
    nudged = altered(found, 2.0**-18)
    assert "its certificate does not hold" in shipping.differences({name: found}, {name: nudged})[0]
    assert shipping.settled({name: found}, {name: nudged}) == {name: found}
    true = shipping.certify(nudged, get("afm6u"))
    assert dumps(true) != dumps(found)
    assert shipping.differences({name: found}, {name: true}) == []
    assert shipping.settled({name: found}, {name: true}) == {name: true}
    worse = shipping.certify(altered(found, 0.5), get("afm6u"))
    assert "surrogate afm6u.p4: found anew as 4 products" in shipping.differences({name: found}, {name: worse})[0]


def test_files_that_came_went_or_changed_are_told(tmp_path, shipped):
    few = {name: shipped[name] for name in ("udm8u", "afm6u.p4", "afm6u.p8")}
    folder = tmp_path / "surrogates"
    shipping.write(few, folder)
    assert shipping.read(folder) == (few, [])
    assert load(folder / "udm8u.json") == shipped["udm8u"]
    (folder / "udm8u.json").write_bytes(dumps(shipped["udm8u"]) + b" ")
    (folder / "afm6u.p4.json").write_bytes(dumps(shipped["afm6u.p4"])[:500])
    found, wrong = shipping.read(folder)
    assert sorted(found) == ["afm6u.p8", "udm8u"]
    assert "afm6u.p4.json: is not JSON" in wrong[0]
    assert "udm8u.json is not what this version writes" in wrong[1]
    shipping.write({"udm8u": shipped["udm8u"]}, folder)
    assert [path.name for path in folder.iterdir()] == ["udm8u.json"]
    less = {name: s for name, s in shipped.items() if name != "mitchell8u.p4"} | {"gone8u": shipped["udm8u"]}
    said = " ".join(build.stale_surrogates(less, measurements()))
    assert "there is none of mitchell8u" in said
    assert "surrogate gone8u: the catalog has no such entry" in said
    other = shipped | {"udm8u": shipped["exact8u"]}
    assert build.stale_surrogates(other, measurements()) == [
        "surrogate udm8u: is of other products than the entry; run python -m catalog.build"
    ]


def test_page_is_told_to_be_stale(tmp_path, monkeypatch, shipped):
    monkeypatch.setattr(build, "SURROGATES_PAGE", tmp_path / "page.md")
    (tmp_path / "page.md").write_text(surrogates_page(measurements(), shipped))
    assert build.stale_surrogates(shipped, measurements()) == []
    (tmp_path / "page.md").write_text("edited")
    assert "page.md is not the page of these surrogates" in build.stale_surrogates(shipped, measurements())[0]
