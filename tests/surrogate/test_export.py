"""Exported sources give the surrogate's own values for every operand pair."""

import itertools
import shutil
import subprocess

import numpy as np
import onnxruntime
import pytest
import sympy

import multipliers
from multipliers import OperandFormat, TableMultiplier
from surrogate import MultiplierReference, Provenance, Surrogate, SurrogateError, Term, discover, explain
from surrogate import basis as bf
from surrogate.export import TARGETS, export, export_bytes, to_c, to_python
from surrogate.export.sympy import to_latex, to_sympy, to_sympy_source

COMPILER = shutil.which("gcc") or shutil.which("cc")


def every_function(a, b, integer):
    """A surrogate that uses every basis function on both operands."""
    generator = np.random.default_rng(5)

    def functions(operand):
        values = generator.integers(-300, 300, size=operand.size)
        return [
            bf.Constant(),
            bf.Identity(),
            bf.Sign(),
            *(bf.Mod(n) for n in (0, 2, 32)),
            *(bf.Truncate(n) for n in (0, 2, 32)),
            *(bf.Bit(n) for n in (0, operand.bits - 1, 31)),
            *(bf.LeadingOneTruncate(n, u) for n, u in itertools.product((1, 2, 3, 32), (False, True))),
            bf.IsZero(),
            bf.AllBits(0b11),
            bf.AllBits(1 << 31),
            bf.NearestPower(),
            bf.NearestPower(three_down=True),
            bf.LeadingOneTable(generator.integers(-300, 300, size=4), scale=2),
            bf.LeadingOneTable([5] if integer else [0.3]),
            bf.Odd(bf.Mod(2)),
            bf.Odd(bf.IsZero()),
            bf.Window(bf.Identity(), high=2),
            bf.Window(bf.Odd(bf.Bit(0)), low=1),
            bf.Window(bf.LeadingOneTable([1, -7]), low=1, high=3),
            bf.Sum([(3, bf.Constant()), (-2, bf.Window(bf.Odd(bf.Truncate(1)), low=0)), (1, bf.Bit(1))]),
            bf.Table(operand, values if integer else values / 7),
        ]

    left, right = functions(a), functions(b)
    coefficients = [1, -1, 3, -(1 << 20), 7] if integer else [0.1, -2, 1e-3, 12.5, 1.0]
    terms = [
        Term(coefficients[(i + j) % 5], left[i], right[j])
        for i, j in itertools.product(range(len(left)), range(len(right)))
        if (i + 2 * j) % 3 == 0
    ]
    reference = MultiplierReference("every */ function\n'''\"\"\"\\", a, b, "0" * 64)
    return Surrogate(terms, reference, Provenance("hand"))


FORMATS = [("4s", "3u"), ("1u", "1s"), ("5u", "5s")]
CASES = {
    **{f"every-{a}x{b}-{k}": (a, b, k) for a, b in FORMATS for k in ("integer", "float")},
    "exact8s": ("bam8s_h0v3", "exact"),
    "explained8s": ("bam8s_h0v3", "explained"),
    "explained6u": ("mitchell6u", "explained"),
    "htp8u": ("drum8u_k4", "htp"),
    "htp6u": ("bam6u_h2v5", "htp"),
    "lowrank6x7": ("mitchell6sx7u", "lowrank"),
    "zero": ("zero",),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    match CASES[request.param]:
        case (a, b, kind):
            return every_function(OperandFormat.parse(a), OperandFormat.parse(b), kind == "integer")
        case (label, "explained"):
            return explain(discover(multipliers.get(label))).surrogate
        case (label, method):
            return discover(multipliers.get(label), method=method)
    return discover(TableMultiplier(np.zeros((4, 8), dtype=int), "2u", "3s"))


def grid(s):
    a, b = np.meshgrid(s.a.values(), s.b.values(), indexing="ij")
    return a, b, s(a, b)


def test_python_source(case):
    source = to_python(case, "product")
    assert "surrogate" not in source
    namespace = {}
    exec(compile(source, "exported", "exec"), namespace)  # noqa: S102
    product = namespace["product"]
    a, b, expected = grid(case)
    got = product(a, b)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    assert product(a[:, :1], b[:1]).shape == a.shape
    assert product(int(a[0, 0]), int(b[-1, -1])) == expected[0, -1]
    with pytest.raises(ValueError, match="operand a is outside"):
        product(case.a.maximum + 1, 0)
    with pytest.raises(ValueError, match="operand b is outside"):
        product(0, case.b.minimum - 1)
    with pytest.raises(TypeError, match="operand b must be integers"):
        product(0, 0.5)


def test_onnx_graph(case):
    data = export_bytes(case, "onnx", verify=True)
    session = onnxruntime.InferenceSession(data)
    a, b, expected = grid(case)
    (got,) = session.run(None, {"a": a, "b": b})
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    (got,) = session.run(None, {"a": a[:, :1], "b": b[:1]})
    np.testing.assert_array_equal(got, expected)


@pytest.mark.skipif(COMPILER is None, reason="no C compiler (gcc or cc) on the path")
def test_c_source(case, tmp_path):
    header, program = tmp_path / "product.h", tmp_path / "main.c"
    header.write_text(to_c(case, "product"))
    form = "%lld" if case.is_integer else "%a"
    cast = "(long long)" if case.is_integer else ""
    program.write_text(
        f"""#include <stdio.h>
        #include "product.h"
        int main(void) {{
            for (int64_t a = {case.a.minimum}; a <= {case.a.maximum}; a++)
                for (int64_t b = {case.b.minimum}; b <= {case.b.maximum}; b++)
                    printf("{form}\\n", {cast}product(a, b));
            return 0;
        }}"""
    )
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", "-ffp-contract=off"]
    subprocess.run([COMPILER, *flags, "-o", tmp_path / "main", program], check=True)
    lines = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout.split()
    expected = grid(case)[2].ravel().tolist()
    got = [int(v) if case.is_integer else float.fromhex(v) for v in lines]
    assert got == expected


@pytest.mark.skipif(COMPILER is None, reason="no C compiler (gcc or cc) on the path")
def test_c_source_refuses_operands_out_of_range_and_can_be_included_twice(tmp_path):
    (tmp_path / "m.h").write_text(to_c(discover(multipliers.get("exact4u"))))
    (tmp_path / "main.c").write_text('#include "m.h"\n#include "m.h"\nint main(void) { return (int)multiply(16, 0); }')
    subprocess.run([COMPILER, "-std=c99", "-o", tmp_path / "main", tmp_path / "main.c"], check=True)
    assert subprocess.run([tmp_path / "main"], check=False, capture_output=True).returncode != 0


@pytest.mark.skipif(COMPILER is None, reason="no C compiler (gcc or cc) on the path")
def test_c_integers_of_64_bits(tmp_path):
    operand = OperandFormat(1)
    reference = MultiplierReference("m", operand, operand, "0" * 64)
    terms = [Term(-(1 << 61), bf.Identity(), bf.Identity()), Term(1, bf.Table(operand, [-(1 << 60), 5]), bf.Constant())]
    (tmp_path / "m.h").write_text(to_c(Surrogate(terms, reference, Provenance("hand"))))
    (tmp_path / "main.c").write_text(
        '#include "m.h"\nint main(void) { return multiply(1, 1) == 5 - (INT64_C(1) << 61) && '
        "multiply(0, 0) == -(INT64_C(1) << 60) ? 0 : 1; }"
    )
    flags = ["-std=c99", "-Wall", "-Werror"]
    subprocess.run([COMPILER, *flags, "-o", tmp_path / "main", tmp_path / "main.c"], check=True)
    subprocess.run([tmp_path / "main"], check=True)


def test_sympy_expression_by_substitution(case):
    a, b = sympy.symbols("a b", integer=True)
    expression = to_sympy(case)
    assert expression.free_symbols <= {a, b}
    generator = np.random.default_rng(0)
    for x, y in zip(generator.choice(case.a.values(), 12), generator.choice(case.b.values(), 12), strict=True):
        value = expression.subs({a: int(x), b: int(y)})
        expected = case(int(x), int(y))
        if case.is_integer:
            assert value == int(expected)
        else:
            assert float(value) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("written", [False, True], ids=["expression", "source"])
def test_sympy_expression_by_lambdify(case, written):
    expression = to_sympy(case)
    if written:
        namespace = {}
        exec(compile(to_sympy_source(case), "exported", "exec"), namespace)  # noqa: S102
        expression = namespace["expression"]
    function = sympy.lambdify(sympy.symbols("a b", integer=True), expression, "numpy")
    a, b, expected = grid(case)
    largest = max(1.0, float(abs(expected).max()))
    np.testing.assert_allclose(np.broadcast_to(function(a, b), a.shape), expected, rtol=1e-12, atol=1e-12 * largest)


def test_sympy_tables_of_two_surrogates_do_not_mix():
    first, second = (discover(TableMultiplier(np.outer([1, k], [1, 5]), "1u")) for k in (3, 7))
    a, b = sympy.symbols("a b", integer=True)
    assert to_sympy(first) == to_sympy(first)
    assert to_sympy(first) != to_sympy(second)
    values = [int(to_sympy(s).subs({a: 1, b: 1})) for s in (first, second)]
    assert values == [15, 35]


def test_latex():
    operand = OperandFormat(8)
    reference = MultiplierReference("m", operand, operand, "0" * 64)
    s = Surrogate(
        [Term(1, bf.Identity(), bf.Identity()), Term(-2, bf.Mod(2), bf.Identity())], reference, Provenance("hand")
    )
    assert to_latex(s) == r"a b - \left(2 b \left(a \bmod 4\right)\right)"


@pytest.mark.parametrize("target", [target for target in TARGETS if target != "torchapprox"])
def test_files(case, target, tmp_path):
    path = tmp_path / f"m{TARGETS[target].suffix}"
    export(case, target, path)
    assert path.read_bytes() == TARGETS[target].content(case) == TARGETS[target].content(case)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_refusals(tmp_path):
    s = discover(multipliers.get("exact4u"))
    with pytest.raises(SurrogateError, match="unknown target 'rust'; choose one of 'python', 'c', 'sympy', 'latex'"):
        export(s, "rust", tmp_path / "x")
    with pytest.raises(SurrogateError, match="verify is for the targets 'onnx', 'torchapprox'; what 'latex' writes"):
        export(s, "latex", tmp_path / "x", verify=True)
    assert not list(tmp_path.iterdir())
    for name in ("2x", "a b", "f(", "", "for", "é", "np"):
        with pytest.raises(SurrogateError, match="identifier"):
            to_python(s, name)
    for name in ("double", "a", "f;", "x-y", "int64_t"):
        with pytest.raises(SurrogateError, match="identifier"):
            to_c(s, name)


def test_names_of_multipliers_cannot_inject_code():
    m = TableMultiplier([[0, 0], [0, 1]], "1u", name='x\nraise SystemExit\n"""\\')
    s = discover(m)
    for source in (to_python(s), to_c(s), to_sympy_source(s)):
        assert source.splitlines()[0].endswith("separable model: equal on all 4 operand pairs.")
        assert "\nraise" not in source
