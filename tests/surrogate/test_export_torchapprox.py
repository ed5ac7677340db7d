"""Coefficient files of TorchApprox: the published form, what fits, and what does not."""

import itertools
import json

import numpy as np
import pytest

import multipliers
from multipliers import OperandFormat
from surrogate import MultiplierReference, Provenance, Surrogate, SurrogateError, Term, discover
from surrogate import basis as bf
from surrogate.export import TARGETS, Target, export, export_bytes, to_torchapprox
from surrogate.export.torchapprox import read_torchapprox

SIGNED = OperandFormat(8, True)

PUBLISHED = {  # entries of fast_model_params.json, and the same as terms
    "mul8s_1L2D": (
        {"coefficients": [-1.0, -1.0, 0.9], "powers": [[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 1]], "expansion": 4.0},
        [(1, "x", "x"), (-1, "x", "m"), (-1, "m", "x"), (0.9, "m", "m")],
        2,
    ),
    "mul8s_1KRC": (
        {"coefficients": [-3.0, -1.0], "powers": [[0, 0, 1, 0], [1, 0, 0, 1]], "expansion": 2.0},
        [(1, "x", "x"), (-3, "m", "1"), (-1, "x", "m")],
        1,
    ),
    "mul8s_1KR3": (
        {"coefficients": [-1.0], "powers": [[1, 0, 0, 1]], "expansion": 64.0},
        [(1, "x", "x"), (-1, "x", "m")],
        6,
    ),
}


def surrogate_of(terms, a=SIGNED, b=SIGNED, name="m"):
    return Surrogate(terms, MultiplierReference(name, a, b, "0" * 64), Provenance("hand"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_entries(name):
    entry, terms, bits = PUBLISHED[name]
    functions = {"1": bf.Constant(), "x": bf.Identity(), "m": bf.Mod(bits)}
    s = surrogate_of([Term(c, functions[g], functions[h]) for c, g, h in terms], name=name)
    assert json.loads(to_torchapprox(s)) == {name: entry}


def test_operands_keep_their_order():
    """Layer inputs are operand a: the file of a transposed model is another one."""
    x, y = np.meshgrid(SIGNED.values(), SIGNED.values(), indexing="ij")
    written = to_torchapprox(surrogate_of([Term(1, bf.Identity(), bf.Identity()), Term(-1, bf.Mod(3), bf.Identity())]))
    np.testing.assert_array_equal(read_torchapprox(written)(x, y), x * y - (x % 8) * y)
    assert json.loads(written)["m"]["powers"] == [[0, 1, 1, 0]]


ONE_MODULUS = [
    bf.Constant(),
    bf.Identity(),
    bf.Mod(1),
    bf.Mod(0),
    bf.Truncate(1),
    bf.Truncate(0),
    bf.Bit(0),
    bf.AllBits(1),
    bf.Sum([(3, bf.Constant()), (-2, bf.Truncate(1)), (5, bf.Bit(0))]),
]


@pytest.mark.parametrize("formats", [("4s", "3u"), ("1u", "5s")])
def test_every_function_that_fits(formats):
    a, b = map(OperandFormat.parse, formats)
    for (g, h), c in itertools.product(itertools.product(ONE_MODULUS, repeat=2), (1, -7, 0.3)):
        s = surrogate_of([Term(c, g, h), Term(-2, bf.Identity(), bf.Mod(1))], a, b)
        export_bytes(s, "torchapprox", verify=True)
    x, y = np.meshgrid(a.values(), b.values(), indexing="ij")
    np.testing.assert_allclose(read_torchapprox(to_torchapprox(s))(x, y), s(x, y), atol=1e-12)
    assert read_torchapprox(to_torchapprox(s))(x[:, :1], y[:1]).shape == x.shape


def test_coefficients_are_decimals():
    s = surrogate_of([Term(0.9, bf.Identity(), bf.Identity()), Term(1.3, bf.Mod(2), bf.Constant())])
    assert json.loads(to_torchapprox(s))["m"]["coefficients"] == [1.3, -0.1]
    assert json.loads(to_torchapprox(surrogate_of([])))["m"] == {
        "coefficients": [-1.0],
        "powers": [[1, 1, 0, 0]],
        "expansion": 1.0,
    }


@pytest.mark.parametrize("label", ["bam8s_h0v3", "trunc8u_t4", "exact8s"])
def test_recipe_of_equal_levels_fits_and_is_verified(label, tmp_path):
    s = discover(multipliers.get(label), method="htp", basis="mod")
    levels = {f.bits for t in s.terms for f in (t.a, t.b) if isinstance(f, bf.Mod)}
    if len(levels) > 1:
        with pytest.raises(SurrogateError, match="one modulus for both operands"):
            to_torchapprox(s)
        return
    export(s, "torchapprox", tmp_path / "m.json", verify=True)
    assert list(json.loads((tmp_path / "m.json").read_text())) == [label]


@pytest.mark.parametrize(
    "function",
    [bf.Sign(), bf.Bit(1), bf.LeadingOneTruncate(3), bf.Table(SIGNED, SIGNED.values()), bf.IsZero()],
    ids=repr,
)
def test_terms_that_do_not_fit_are_named(function):
    term = Term(-2, bf.Identity(), function)
    with pytest.raises(SurrogateError, match="does not fit TorchApprox's coefficients") as error:
        to_torchapprox(surrogate_of([Term(1, bf.Identity(), bf.Identity()), term]))
    assert f"the term {term.formula()} " in str(error.value)


def test_two_moduli_are_refused():
    s = surrogate_of([Term(1, bf.Identity(), bf.Mod(2)), Term(1, bf.Mod(3), bf.Identity())])
    with pytest.raises(SurrogateError, match=r"\(a mod 8\) b is modulo 8, an earlier one modulo 4; .* one modulus"):
        to_torchapprox(s)


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"nonsense",
        b"{}",
        b"\xff",
        b'{"m": 3}',
        b'{"m": {}}',
        b'{"m": {"coefficients": [1], "powers": [], "expansion": 2}}',
        b'{"m": {"coefficients": [1], "powers": [[1]], "expansion": 2}}',
        b'{"m": {"coefficients": [], "powers": [], "expansion": 0}}',
    ],
)
def test_other_files_are_refused(data):
    with pytest.raises(SurrogateError, match="not TorchApprox coefficients of one multiplier"):
        read_torchapprox(data)


@pytest.mark.parametrize("coefficient", [1, 0.5])
def test_verification_finds_one_wrong_coefficient(coefficient, tmp_path, monkeypatch):
    def broken(surrogate):
        return to_torchapprox(surrogate).replace("-3.0", "-2.9")

    monkeypatch.setitem(TARGETS, "torchapprox", Target("torchapprox", ".json", broken, read_torchapprox))
    s = surrogate_of([Term(coefficient, bf.Identity(), bf.Identity()), Term(-3, bf.Mod(1), bf.Constant())])
    with pytest.raises(SurrogateError, match=r"not faithful: at a = -127, b = -128 it gives .*nothing was written"):
        export(s, "torchapprox", tmp_path / "m.json", verify=True)
    assert not list(tmp_path.iterdir())
