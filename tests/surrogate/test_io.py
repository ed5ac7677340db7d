"""Files: golden bytes, round trips, layout, versions, atomic writing, verification."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import multipliers
import surrogate
from multipliers import OperandFormat
from surrogate import (
    Certificate,
    MultiplierReference,
    Provenance,
    Surrogate,
    SurrogateError,
    SurrogateFileError,
    Term,
    basis,
    discover,
    dumps,
    load,
    loads,
    save,
)
from surrogate import io as surrogate_io
from surrogate.testing import surrogates

GOLDEN = Path(__file__).with_name("golden_v1.json")
FORMAT_TEXT = Path(surrogate.__file__).with_name("FORMAT.md").read_text()


def golden():
    a, b = OperandFormat(4, True), OperandFormat(3)
    floats = [0.5, 1e-07, 1e16, -2.0, 0.0, 1e17 / 3, 123456.75, 0.1]
    terms = [
        Term(1, basis.Identity(), basis.Identity()),
        Term(-2, basis.Mod(2), basis.Bit(1)),
        Term(0.1, basis.Constant(), basis.Truncate(1)),
        Term(3, basis.Sign(), basis.LeadingOneTruncate(2, True)),
        Term(1, basis.Table(a, list(range(-7, 9))), basis.Table(b, floats)),
    ]
    options = {"basis": "auto", "decimals": None, "rate": 0.5, "terms": 4, "weighted": False}
    return Surrogate(
        terms,
        MultiplierReference("golden \u00e9", a, b, "0123456789abcdef" * 4, "table"),
        Provenance("htp", tuple(options.items()), "0.1.0"),
        Certificate("exhaustive", 128, 100, 2e17, 12.5, 20.25, -1.5),
    )


def test_golden_file_is_written_byte_for_byte():
    assert dumps(golden()) == GOLDEN.read_bytes()


def test_golden_file_loads_for_ever():
    loaded = load(GOLDEN)
    assert loaded == golden()
    assert loaded.multiplier.name == "golden \u00e9"
    assert loaded.provenance.options == golden().provenance.options
    # a b - 2 (a mod 4) bit_1(b) + 0.1 trunc_1(b) + 3 sign(a) drum_2(b) + t(a) u(b), by hand at a = -3, b = 7
    assert float(loaded(-3, 7)) == -21 + -2 * (1 * 1) + 0.1 * 6 + 3 * (-1 * 6) + (-2 * 0.1)


GOLDEN_2 = Path(__file__).with_name("golden_v2.json")


def golden_2():
    parts = [(2, basis.Window(basis.Odd(basis.Mod(1)), 1, None)), (-1, basis.AllBits(5)), (1, basis.IsZero())]
    terms = [
        Term(3, basis.Sum(parts), basis.NearestPower(True)),
        Term(-1, basis.Window(basis.LeadingOneTable([4, 5, -6, 7], 2), None, 3), basis.Identity()),
    ]
    reference = MultiplierReference("golden", OperandFormat(4, True), OperandFormat(3), "0123456789abcdef" * 4, "table")
    return Surrogate(terms, reference, Provenance("explained", (), "0.2.0"))


def test_golden_file_of_version_2_stays_as_it_is():
    assert dumps(golden_2()) == GOLDEN_2.read_bytes()
    assert load(GOLDEN_2) == golden_2()
    assert json.loads(GOLDEN_2.read_text())["version"] == 2
    # at a = -5: 2 * -(5 mod 2) - [bits 0 and 2 of ...1011] + 0 = -2; |-5| = 4 (1 + 1/4): -floor(4 * 5 / 4); P(3) = 2
    assert int(golden_2()(-5, 3)) == 3 * -2 * 2 - 1 * -5 * 3


@given(surrogates())
def test_round_trip(s):
    data = dumps(s)
    again = loads(data)
    assert again == s
    assert again.multiplier.name == s.multiplier.name
    assert dumps(again) == data
    assert data.endswith(b"}\n")
    assert data.isascii()
    assert data.count(b"\n") == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(surrogates())
def test_save_and_load(tmp_path, s):
    path = tmp_path / "s.json"
    save(s, path)
    assert path.read_bytes() == dumps(s)
    assert load(path) == load(str(path)) == s
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]


@pytest.mark.parametrize("layout", [{"indent": 2}, {"indent": "\t", "sort_keys": True}, {"ensure_ascii": False}])
def test_another_layout_of_the_same_json_loads(layout):
    value = json.loads(GOLDEN.read_text())
    assert loads(json.dumps(dict(reversed(value.items())), **layout)) == golden()


def test_another_decimal_of_the_same_float_loads():
    text = GOLDEN.read_text()
    assert loads(text.replace("1e-07", "0.00000010")) == golden()
    assert loads(text.replace("0.0,3.33", "-0.0,3.33")) == golden()
    with pytest.raises(SurrogateFileError, match="hash"):
        loads(text.replace("1e-07", "0.00000011"))


def test_canonical_numbers_are_those_of_the_text():
    for value, text in [
        (0.0, "0.0"),
        (2.0, "2.0"),
        (1e-4, "0.0001"),
        (1e-5, "1e-05"),
        (1.5e16, "1.5e+16"),
        (1e22, "1e+22"),
    ]:
        assert surrogate_io._canonical(value).decode() == text
    assert surrogate_io._canonical({"b": 1, "a": [True, None, -3, 'é"\x7f\U0001f600']}) == (
        b'{"a":[true,null,-3,"\\u00e9\\"\\u007f\\ud83d\\ude00"],"b":1}'
    )


def test_every_basis_function_is_specified_and_no_other():
    section = FORMAT_TEXT.split("## 4.")[1].split("## 5.")[0]
    rows = dict(re.findall(r"^\| `(\w+)`(?: \(\d\))? \| (.*?) \|", section, re.MULTILINE))
    del rows["name"]  # the header
    assert set(rows) == set(basis.kinds())
    examples = {
        "constant": basis.Constant(),
        "identity": basis.Identity(),
        "mod": basis.Mod(1),
        "bit": basis.Bit(1),
        "truncate": basis.Truncate(1),
        "leading_one_truncate": basis.LeadingOneTruncate(1),
        "sign": basis.Sign(),
        "table": basis.Table(OperandFormat(1), [0, 1]),
        "is_zero": basis.IsZero(),
        "all_bits": basis.AllBits(1),
        "nearest_power": basis.NearestPower(),
        "leading_one_table": basis.LeadingOneTable([1, 2]),
        "odd": basis.Odd(basis.Bit(0)),
        "window": basis.Window(basis.Bit(0), 1, 2),
        "sum": basis.Sum([(1, basis.Bit(0))]),
    }
    assert set(examples) == set(rows)
    for name, function in examples.items():
        assert set(re.findall(r"`(\w+)`:", rows[name])) == set(function.configuration())
        assert (function.since == 2) == (f"| `{name}` (2) |" in section)


def test_every_field_is_specified():
    content = golden().to_dict()
    for section, fields in {
        "## 1.": json.loads(GOLDEN.read_text()),
        "## 3.": content,
        "### 3.3": content["provenance"],
        "### 3.4": content["certificate"],
    }.items():
        rows = re.split(r"\n#", FORMAT_TEXT.split(section)[1])[0]
        assert set(re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)) == set(fields)
    rows = re.split(r"\n#", FORMAT_TEXT.split("### 3.2")[1])[0]
    assert {"name", "fingerprint", "fingerprint_of"} <= set(re.findall(r"`(\w+)`", rows))


def test_the_example_of_the_text_is_a_canonical_exact_file():
    example = re.search(r"```json\n(.*?)```", FORMAT_TEXT, re.DOTALL)[1].encode()
    m = multipliers.get("bam2u_h0v1")
    s = loads(example, m, verify=True)
    assert s.is_exact
    assert s.formula() == "a b - (a mod 2) (b mod 2)"
    assert dumps(s) == example


def test_a_file_of_another_multiplier_is_refused(tmp_path):
    path = tmp_path / "s.json"
    m = multipliers.get("drum4u_k3")
    save(discover(m), path)
    assert load(path, m).is_exact
    with pytest.raises(SurrogateFileError, match=r"s\.json: stands for 'drum4u_k3' \(4u x 4u, .*not for 'exact4u'"):
        load(path, multipliers.get("exact4u"))
    with pytest.raises(SurrogateFileError, match="stands for"):
        load(path, multipliers.get("exact16u"))


def test_verification_measures_anew(tmp_path):
    path = tmp_path / "s.json"
    m = multipliers.get("mitchell4u")
    for method in ("exact", "lowrank", "htp"):
        s = discover(m, method=method)
        save(s, path)
        assert load(path, m, verify=True) == s
        save(s.with_certificate(None), path)
        assert load(path, m).certificate is None
        assert load(path, m, verify=True) == s
    lie = discover(m, method="lowrank", terms=2).with_certificate(Certificate("exhaustive", 256, 0, 0, 0, 0, 0))
    save(lie, path)
    assert load(path, m).certificate.exact  # a claim
    with pytest.raises(SurrogateFileError, match="certificate does not hold"):
        load(path, m, verify=True)
    integer_lie = Surrogate([], lie.multiplier, lie.provenance, lie.certificate)
    save(integer_lie, path)
    assert load(path, m).is_exact
    with pytest.raises(SurrogateFileError, match="certificate does not hold"):
        load(path, m, verify=True)
    with pytest.raises(SurrogateError, match="pass it as well"):
        load(path, verify=True)


def test_verification_of_sampled_certificates():
    m = multipliers.get("drum16u_k6")
    s = discover(m, sample=5000)
    assert loads(dumps(s), m, verify=True) == s


def test_there_is_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.json"):
        load(tmp_path / "missing.json")
    with pytest.raises(SurrogateFileError, match="is a folder"):
        load(tmp_path)


def test_saving_names_what_is_in_the_way(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder to write to"):
        save(golden(), tmp_path / "no" / "s.json")
    with pytest.raises(IsADirectoryError, match="give a file name in it"):
        save(golden(), tmp_path)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failing):
    path = tmp_path / "s.json"
    save(golden(), path)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(*((surrogate_io.os, "fsync", fail) if failing == "fsync" else (Path, "replace", fail)))
    with pytest.raises(OSError, match="disk full"):
        save(discover(multipliers.get("exact4u")), path)
    assert path.read_bytes() == GOLDEN.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]


def test_wide_tables_round_trip():
    operand = OperandFormat(16, True)
    values = np.random.default_rng(0).integers(-(1 << 20), 1 << 20, size=1 << 16)
    reference = MultiplierReference("wide", operand, operand, "0" * 64, "sample")
    s = Surrogate([Term(1, basis.Table(operand, values), basis.Identity())], reference, Provenance("hand"))
    assert loads(dumps(s)) == s
