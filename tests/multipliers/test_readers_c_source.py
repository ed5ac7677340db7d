import contextlib
import gc
import pickle
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from multipliers import OperandFormat, ParameterError, TableMultiplier, UnknownNameError
from multipliers.readers.c_run import Limits, SourceError
from multipliers.readers.c_source import (
    CompiledMultiplier,
    Figure,
    find_functions,
    formats_of_name,
    header_figures,
    read_c_source,
)
from multipliers.testing import check_multiplier

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")

HEADER = """/***
* This code is a part of a library. When used, please cite the following article.
***/
// MAE% = 0.0064 %
// MAE = 4.2
// WCE% = 0.02 %
// EP% = 49.80 %
// PDK45_PWR = 0.410 mW
// PDK45_AREA = 729.8 um2
// PDK45_DELAY = 1.48 ns
"""


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    gc.collect()
    assert not list(folder.iterdir())


def gates(n, m, dropped):
    """Array multiplier of unsigned operands as C statements: partial products below a column are left out."""
    lines, columns = [], [[] for _ in range(n + m + 1)]
    for i in range(n):
        for j in range(m):
            if i + 2 * j >= dropped:
                lines.append(f"  w{i}_{j} = ((A >> {i}) & 1) & ((B >> {j}) & 1);")
                columns[i + j].append(f"w{i}_{j}")
    names, count = [line.split()[0] for line in lines], 0
    for column in range(n + m):
        while len(columns[column]) > 1:
            x, y = columns[column][:2]
            z = columns[column][2] if len(columns[column]) > 2 else None
            del columns[column][:3]
            s, c = f"s{count}", f"c{count}"
            count += 1
            names += [s, c]
            lines.append(f"  {s} = {x} ^ {y}" + (f" ^ {z};" if z else ";"))
            lines.append(f"  {c} = ({x} & {y})" + (f" | (({x} ^ {y}) & {z});" if z else ";"))
            columns[column].append(s)
            columns[column + 1].append(c)
    for column in range(n + m):
        if columns[column]:
            lines.append(f"  O |= ({columns[column][0]} & 1) << {column};")
    return f"  uint64_t O = 0, {', '.join(names)};\n" + "\n".join(lines) + "\n  return O;\n"


def plain(n, m, dropped, a, b):
    total = 0
    for i in range(n):
        for j in range(m):
            if i + 2 * j >= dropped:
                total += (a >> i & 1) * (b >> j & 1) << (i + j)
    return total


def expected(n, m, dropped):
    return [[plain(n, m, dropped, a, b) for b in range(1 << m)] for a in range(1 << n)]


@pytest.mark.parametrize(
    ("name", "parameters", "n", "m"),
    [
        ("mul6u_X", "const uint64_t B, const uint64_t A", 6, 6),
        ("mul6u_X", "const uint64_t A,const uint64_t B", 6, 6),
        ("mul6x3u_X", "uint64_t B /* second port, */, // first (\n uint64_t A", 6, 3),
        ("mul3x6u_0A1", "uint8_t A, uint16_t B", 3, 6),
        ("mul6u_pwr_0_006_mae_04_6026", "uint8_t B,\n      uint8_t\n   A /* ,, */", 6, 6),
    ],
)
def test_gate_level_circuits(name, parameters, n, m, tmp_path):
    path = tmp_path / f"{name}.c"
    path.write_text(
        HEADER + f"#include <stdint.h>\n#include <stdlib.h>\nuint64_t {name}({parameters})\n{{\n{gates(n, m, 4)}}}\n"
    )
    read = read_c_source(path)
    assert (read.multiplier.a, read.multiplier.b) == (OperandFormat(n), OperandFormat(m))
    assert isinstance(read.multiplier, TableMultiplier)
    assert read.multiplier.name == name
    np.testing.assert_array_equal(read.multiplier.table(), expected(n, m, 4))
    assert read.function.b_first == ("B" in parameters.split(",")[0])


def test_names_of_the_parameters_decide_the_order(tmp_path):
    def read(declaration):
        (tmp_path / "mul4u_Y.c").write_text(f"int mul4u_Y({declaration}) {{ return 12 * A + 2 * B; }}")
        return read_c_source(tmp_path / "mul4u_Y.c").multiplier

    assert int(read("int A, int B")(3, 1)) == 12 * 3 + 2 * 1
    assert read("int B, int A") == read("int A, int B")
    (tmp_path / "mul4u_Y.c").write_text("int mul4u_Y(int x, int y) { return x + 16 * y; }")
    assert int(read_c_source(tmp_path / "mul4u_Y.c").multiplier(3, 1)) == 19
    (tmp_path / "mul4u_Y.c").write_text("int mul4u_Y(int b, int a) { return a + 16 * b; }")
    assert int(read_c_source(tmp_path / "mul4u_Y.c").multiplier(3, 1)) == 19


@pytest.mark.parametrize("types", ["int8_t", "uint8_t", "int16_t", "uint16_t", "uint64_t", "int", "unsigned char"])
@pytest.mark.parametrize("result", ["int16_t", "uint16_t", "uint64_t"])
def test_signed_circuits_whatever_their_types(types, result, tmp_path):
    """Bits are taken from the operands as a netlist does; the result is 16 bits, sign bit on top."""
    body = "int x = A & 255, y = B & 255; x -= x / 128 * 256; y -= y / 128 * 256; return (x * y - 3 * x) & 0xFFFF;"
    path = tmp_path / "mul8s_Z.c"
    path.write_text(f"#include <stdint.h>\n{result} mul8s_Z({types} A, {types} B) {{ {body} }}\n")
    a = OperandFormat(8, True).values()
    np.testing.assert_array_equal(read_c_source(path).multiplier.table(), np.multiply.outer(a, a) - 3 * a[:, None])


def test_unsigned_parameters_receive_codes_and_signed_ones_values(tmp_path):
    path = tmp_path / "mul4s_V.c"
    path.write_text("#include <stdint.h>\nint64_t mul4s_V(uint32_t A, int8_t B) { return 16 * (A > 15) + B; }")
    multiplier = read_c_source(path).multiplier
    np.testing.assert_array_equal(multiplier(np.arange(-8, 8), -8), np.full(16, -8))


def test_operands_of_different_signs_and_given_formats(tmp_path):
    path = tmp_path / "product.c"
    path.write_text("long product(short x, unsigned short y) { return x * y; }")
    multiplier = read_c_source(path, "5s", "3u", name="mine").multiplier
    assert multiplier.name == "mine"
    np.testing.assert_array_equal(multiplier.error(*np.ix_(multiplier.a.values(), multiplier.b.values())), 0)
    assert read_c_source(path, "3u").multiplier.b.label == "3u"
    with pytest.raises(ParameterError, match=r"'product' does not state operand formats.*pass a= and b="):
        read_c_source(path)
    with pytest.raises(ParameterError, match="without a"):
        read_c_source(path, b="3u")


def test_result_is_reduced_to_its_wires(tmp_path):
    path = tmp_path / "mul4u_R.c"
    path.write_text("#include <stdint.h>\nuint64_t mul4u_R(uint64_t A, uint64_t B) { return ~(A * B); }")
    a = np.arange(16)
    np.testing.assert_array_equal(read_c_source(path).multiplier.table(), 255 - np.multiply.outer(a, a))


def test_wide_operands_are_evaluated_in_batches(tmp_path, nothing_left_behind):
    path = tmp_path / "mul16s_W.c"
    path.write_text(
        "#include <stdint.h>\nint32_t mul16s_W(const int16_t B, const int16_t A) { return A * B - (A & 7); }"
    )
    read = read_c_source(path)
    multiplier = read.multiplier
    assert isinstance(multiplier, CompiledMultiplier)
    assert len(list(nothing_left_behind.iterdir())) == 1
    rng = np.random.default_rng(1)
    a, b = rng.integers(-(1 << 15), 1 << 15, (2, 3, 5000))
    np.testing.assert_array_equal(multiplier(a, b), a * b - (a & 7))
    check_multiplier(multiplier)
    again = pickle.loads(pickle.dumps(multiplier))  # noqa: S301 - bytes of our own
    del multiplier, read
    gc.collect()
    assert int(again(100, 100)) == 9996


def test_threads_share_a_program():
    text = "int mul9u_Q(int A, int B) { return A * B + A; }"
    multiplier = CompiledMultiplier(text, find_functions(text)[0], OperandFormat(9), OperandFormat(9))
    operands = np.random.default_rng(0).integers(0, 512, (16, 2, 999))
    with ThreadPoolExecutor(8) as pool:
        products = list(pool.map(lambda pair: multiplier(*pair), operands))
    np.testing.assert_array_equal(products, operands[:, 0] * operands[:, 1] + operands[:, 0])


def test_compiled_program_of_small_operands_agrees_with_its_table(tmp_path):
    text = "int f(int a, int b) { return a * b + (a > b); }"
    [function] = find_functions(text)
    multiplier = CompiledMultiplier(text, function, OperandFormat(3), OperandFormat(4, True))
    table = multiplier.table()
    np.testing.assert_array_equal(table, multiplier(*np.ix_(multiplier.a.values(), multiplier.b.values())))
    np.testing.assert_array_equal(table, [[a * b + (a > b) for b in range(-8, 8)] for a in range(8)])


def test_twelve_bits(tmp_path):
    path = tmp_path / "mul12u_T.c"
    path.write_text(
        "#include <stdint.h>\nuint32_t mul12u_T(uint16_t A, uint16_t B) { return ((uint32_t)A * B) & ~3u; }"
    )
    a = np.arange(4096)
    np.testing.assert_array_equal(read_c_source(path).multiplier.table(), np.multiply.outer(a, a) & ~3)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_cpp(tmp_path):
    (tmp_path / "part.h").write_text("#pragma once\ntemplate <class T> T twice(T x) { return x + x; }\n")
    path = tmp_path / "mul5u_P.cpp"
    path.write_text(
        '#include <cstdint>\n#include "part.h"\nnamespace { int helper(int x) { return twice(x); } }\n'
        'extern "C" {\nstd::uint16_t mul5u_P(std::uint8_t B, std::uint8_t A) { return helper(A) + B; }\n}\n'
        "int main(int argc, char **argv) { return 1; }\n"
    )
    np.testing.assert_array_equal(
        read_c_source(path).multiplier.table(), np.add.outer(2 * np.arange(32), np.arange(32))
    )


# ---------------------------------------------------------------- which function, which formats, which figures


def test_functions_are_found_by_their_form():
    text = """
    int declared(int a, int b);
    // int commented(int a, int b) { }
    const char *s = "int quoted(int a, int b) {";
    #define MACRO int defined(int a, int b) { return 0; }
    static inline int one(int a) { return a; }
    float real(float a, float b) { return a; }
    double mixed(int a, int b) { return a; }
    int pointer(int *a, int b) { return 0; }
    int array(int a[], int b) { return 0; }
    void nothing(int a, int b) { if (a) { while (b) { } } }
    int three(int a, int b, int c) { return 0; }
    static unsigned long long int good(register const unsigned int x, unsigned long y) { for (;;) { } }
    uint8_t unnamed(uint8_t, uint8_t) { return 0; }
    """
    found = find_functions(text)
    assert [(f.name, f.types, f.parameters) for f in found] == [
        ("good", ("unsigned int", "unsigned long"), ("x", "y")),
        ("unnamed", ("uint8_t", "uint8_t"), ("", "")),
    ]


def test_choice_among_several(tmp_path):
    text = "int add(int a, int b) { return a + b; }\nint mul3u_A(int a, int b) { return a * b; }\n"
    path = tmp_path / "circuit.c"
    path.write_text(text)
    assert read_c_source(path).function.name == "mul3u_A"
    assert int(read_c_source(path, "3u", function="add").multiplier(7, 6)) == 13
    with pytest.raises(UnknownNameError, match="did you mean 'mul3u_A'"):
        read_c_source(path, function="mul3u_B")
    path.write_text(text.replace("mul3u_A", "product"))
    with pytest.raises(SourceError, match=r"2 functions .*\('add', 'product'\); pass function="):
        read_c_source(path, "3u")
    path.rename(tmp_path / "add.c")
    assert read_c_source(tmp_path / "add.c", "3u").function.name == "add"
    path.write_text("int f(void) { return 1; }")
    with pytest.raises(SourceError, match="defines no function of two integers"):
        read_c_source(path)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("mul8u_1JJQ", ("8u", "8u")),
        ("mul8x4u_29A", ("8u", "4u")),
        ("mul12s_2PP", ("12s", "12s")),
        ("mul8u", ("8u", "8u")),
    ],
)
def test_formats_of_names(name, labels):
    assert tuple(x.label for x in formats_of_name(name)) == labels


@pytest.mark.parametrize("name", ["mul", "mul8", "mul8x_1", "add8u_0FP", "mul99u_A", "mulu_8", "mul8unsigned"])
def test_names_without_formats(name):
    assert formats_of_name(name) is None


def test_header_figures():
    assert header_figures(HEADER) == {
        "MAE%": Figure(0.0064, "%"),
        "MAE": Figure(4.2, ""),
        "WCE%": Figure(0.02, "%"),
        "EP%": Figure(49.8, "%"),
        "PDK45_PWR": Figure(0.41, "mW"),
        "PDK45_AREA": Figure(729.8, "um2"),
        "PDK45_DELAY": Figure(1.48, "ns"),
    }
    assert header_figures("int x = 3;\n// MSE = 72829.102e2 \n") == {"MSE": Figure(7282910.2, "")}
    assert header_figures(
        "int x = 3;\n/// Library = EvoApprox\n/* MSE = 1.5e+03 */\n/// EP% = 5 %\n * WCRE% = 700.00 % \n"
    ) == {
        "MSE": Figure(1500.0, ""),
        "EP%": Figure(5.0, "%"),
        "WCRE%": Figure(700.0, "%"),
    }


# ---------------------------------------------------------------- sources that fail


def source(tmp_path, body, suffix=".c"):
    path = tmp_path / f"mul4u_E{suffix}"
    path.write_text(
        "#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\nint mul4u_E(int A, int B) { " + body + " }"
    )
    return path


def test_syntax_error_is_quoted(tmp_path):
    with pytest.raises(
        SourceError, match=r"does not compile \(gcc exited with status 1\)(?s:.)*undeclared_thing"
    ) as caught:
        read_c_source(source(tmp_path, "return undeclared_thing;"))
    assert "mul4u_E.c:4" in str(caught.value)
    assert tempfile.gettempdir() not in str(caught.value)


@pytest.mark.parametrize("body", ["for (;;) ;", "if (A == 9) sleep(1000); return 0;"])
def test_endless_code_is_ended(body, tmp_path):
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"mul4u_E did not end within 0\.5 s"):
        read_c_source(source(tmp_path, body), limits=Limits(time_s=0.5))
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("if (A == 5) abort(); return 0;", "was ended by SIGABRT"),
        ("return A == 5 ? *(volatile int *)8 : 0;", "was ended by SIGSEGV"),
        ("exit(3);", "exited with status 3"),
        ("exit(0);", "gave 0 products for 256 pairs: the source ends the process"),
    ],
)
def test_crashes_are_reported(body, said, tmp_path):
    with pytest.raises(SourceError, match=said):
        read_c_source(source(tmp_path, body))


@pytest.mark.skipif(not hasattr(__import__("os"), "posix_fadvise"), reason="limits of other processes are Linux's")
def test_memory_is_limited(tmp_path):
    body = "char *p; for (;;) { p = malloc(1 << 24); if (!p) abort(); memset(p, A, 1 << 24); }"
    with pytest.raises(SourceError, match=r"SIGABRT|SIGKILL"):
        read_c_source(source(tmp_path, body), limits=Limits(time_s=30, memory_mib=256))


def test_endless_output_is_discarded(tmp_path):
    body = 'static char t[4096]; for (int i = 0; i < 5000; i++) write(1, t, 4096); write(2, "said", 4); return A;'
    assert int(read_c_source(source(tmp_path, body)).multiplier(3, 1)) == 3
    with pytest.raises(SourceError, match="SIGXFSZ"):
        read_c_source(source(tmp_path, "static char t[4096]; for (;;) write(2, t, 4096);"), limits=Limits(time_s=30))


@pytest.mark.parametrize(
    "definition",
    [
        "int f(int a) { return a; }",
        "int f(int a, int b, int c) { return a * b + c; }",
        "double f(double a, double b) { return a * b; }",
        "int f(int *a, int b) { return *a * b; }",
        "void f(int a, int b) { }",
        "int f(void) { return 1; }",
    ],
)
@pytest.mark.parametrize("wanted", [None, "f"])
def test_other_signatures_are_quoted(definition, wanted, tmp_path):
    path = tmp_path / "circuit.c"
    path.write_text(definition)
    with pytest.raises(SourceError, match="of two integers") as caught:
        read_c_source(path, "4u", function=wanted)
    assert repr(definition.partition(" {")[0]) in str(caught.value)
    assert "write a wrapper" in str(caught.value)


@pytest.mark.parametrize("alias", ["typedef float real;", "typedef double real;", "typedef char *real;"])
def test_types_that_only_look_like_integers_do_not_compile(alias, tmp_path):
    path = tmp_path / "circuit.c"
    path.write_text(f"{alias}\nint f(real a, real b) {{ return 0; }}\n")
    with pytest.raises(SourceError, match=r"does not compile(?s:.)*invalid operands"):
        read_c_source(path, "4u")
    path.write_text(f"{alias}\nreal f(int a, int b) {{ return 0; }}\n")
    with pytest.raises(SourceError, match=r"does not compile(?s:.)*invalid operands"):
        read_c_source(path, "4u")


def test_files_that_a_circuit_writes_go_with_its_folder(tmp_path):
    body = 'FILE *f = fopen("trace.txt", "a"); fputs("trace", f); fclose(f); return A;'
    path = source(tmp_path, body)
    path.write_text("#include <stdio.h>\n" + path.read_text())
    assert int(read_c_source(path).multiplier(3, 1)) == 3
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def running(text):
    """Processes whose command line holds a text."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text in entry.read_bytes().decode(errors="replace"):
                found.append(entry.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("static int n; if (!n++ && !fork()) for (;;) pause(); return A;", None),
        ("fork(); fork(); for (;;) ;", "did not end within 0.5 s"),
        ("static int n; if (!n++ && fork()) wait(0); return A;", "gave 512 products for 256 pairs: the source forks"),
    ],
)
def test_processes_that_a_circuit_forks_are_ended(body, said, tmp_path, nothing_left_behind):
    path = source(tmp_path, body)
    path.write_text("#include <sys/wait.h>\n" + path.read_text())
    with pytest.raises(SourceError, match=said) if said else contextlib.nullcontext():
        assert int(read_c_source(path, limits=Limits(time_s=0.5)).multiplier(3, 1)) == 3
    deadline = time.monotonic() + 2
    while running(str(nothing_left_behind)) and time.monotonic() < deadline:
        time.sleep(0.02)  # a killed process takes a moment to go
    assert not running(str(nothing_left_behind))


def test_no_compiler(tmp_path, monkeypatch):
    path = source(tmp_path, "return 0;")
    with pytest.raises(SourceError, match=r"no C compiler found \(looked for no-such-cc\); install one"):
        read_c_source(path, compiler="no-such-cc")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="looked for gcc, cc, clang"):
        read_c_source(path)


def test_missing_files_and_bad_limits(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_c_source(tmp_path / "absent.c")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_c_source(tmp_path)
    with pytest.raises(ParameterError, match="time_s"):
        Limits(time_s=0)


@pytest.mark.parametrize(
    "text", ["", "{", "}}}}", "int f(int a, int b) {", "/* ", '"', "\\", "a " * 200_000, ":a" * 200_000, "(" * 200_000]
)
def test_texts_that_are_no_source(text, tmp_path):
    path = tmp_path / "mul4u_N.c"
    path.write_text(text)
    with pytest.raises(SourceError):
        read_c_source(path, "4u")


def test_wild_bytes(tmp_path):
    path = Path(tmp_path / "mul4u_N.c")
    path.write_bytes(np.random.default_rng(5).bytes(20_000))
    with pytest.raises(SourceError):
        read_c_source(path)
