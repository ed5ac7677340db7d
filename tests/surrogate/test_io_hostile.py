"""Whatever a file holds, reading it gives the surrogate that was written or a SurrogateFileError, and nothing else."""

import copy
import hashlib
import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import multipliers
from surrogate import SurrogateFileError, discover, dumps, load, loads
from surrogate.testing import surrogates

VALID = dumps(discover(multipliers.get("bam3s_h0v2")))
MIXED = dumps(discover(multipliers.get("mitchell3u"), method="htp"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def signed(content, **envelope):
    """Wrap any content with a matching hash, as a forger would."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    fields = {"format": "axsurrogate.surrogate", "version": 1, "sha256": hashlib.sha256(canonical).hexdigest()}
    return json.dumps(fields | {"content": content} | envelope)


def read(data, expected=None):
    """Read; only the surrogate that was written or the right error may come out."""
    try:
        result = loads(data, source="f.json")
    except SurrogateFileError as error:
        if not str(error).startswith("f.json: ") or len(str(error)) > 2000:
            raise AssertionError(f"a poor message: {error}") from error
        return None
    assert expected is None or result == expected
    return result


def paths(value, path=()):
    """Every place in a JSON value."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    value = copy.deepcopy(value)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = new
    return value


CONTENTS = [json.loads(data)["content"] for data in (VALID, MIXED)]
PLACES = [(content, path) for content in CONTENTS for path in paths(content)]


# ---------------------------------------------------------------- fuzz


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff\xfe{}")
@example(b"\xef\xbb\xbf{}")
@example(b"\x80\x04K\x01.")
def test_random_bytes(data):
    assert read(data) is None


@given(JSON)
def test_random_json(value):
    assert read(json.dumps(value)) is None
    assert read(signed(value)) is None


@given(st.sampled_from([VALID, MIXED]), st.data())
def test_one_byte_changed(original, data):
    at = data.draw(st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0, 255))
    read(original[:at] + bytes([byte]) + original[at + 1 :], loads(original))


@given(st.sampled_from([VALID, MIXED]), st.data())
def test_cut_doubled_or_inserted(original, data):
    start = data.draw(st.integers(0, len(original) - 2))
    stop = data.draw(st.integers(start + 1, len(original)))
    read(original[:start] + original[stop:], loads(original))
    read(original[:stop] + original[start:], loads(original))
    read(original[:start] + data.draw(st.binary(min_size=1, max_size=3)) + original[start:], loads(original))


@settings(max_examples=400)
@given(st.sampled_from(PLACES), JSON | st.sampled_from([-1, 0, 1, 2.5, 1 << 62, "8u", "32u", [], {}, True, "mod"]))
def test_any_value_in_any_place_with_a_matching_hash(place, new):
    content, path = place
    result = read(signed(replaced(content, path, new)))
    if result is not None:  # another valid surrogate: it must survive its own round trip and evaluate
        assert loads(dumps(result)) == result
        result(result.a.maximum, result.b.minimum)


@settings(max_examples=100)
@given(st.sampled_from([p for p in PLACES if p[1]]), st.data())
def test_any_field_removed_or_added_with_a_matching_hash(place, data):
    content, path = copy.deepcopy(place)
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    if isinstance(parent, dict) and data.draw(st.booleans()):
        parent["extra"] = 1
        if path[:2] != ("provenance", "options"):
            assert read(signed(content)) is None
    else:
        del parent[path[-1]]
        read(signed(content))


@given(surrogates(), st.data())
def test_one_character_of_any_surrogate(s, data):
    text = dumps(s).decode()
    at = data.draw(st.integers(0, len(text) - 1))
    read(text[:at] + data.draw(st.sampled_from('0123456789-+.eE"\\{}[]:, nulltrue')) + text[at + 1 :], s)


# ---------------------------------------------------------------- named attacks


def changed(**envelope):
    return json.dumps(json.loads(VALID) | envelope)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not JSON"),
        (VALID[:-2], "cut off"),
        (VALID[:100], "cut off"),
        (VALID + VALID, "is not JSON: Extra data"),
        (b"\xef\xbb\xbf" + VALID, "is not JSON"),
        (VALID.decode().encode("utf-16"), "is not UTF-8 text"),
        (b"\x93NUMPY\x01\x00", "is not UTF-8 text"),
        ("\ud800", "is not UTF-8 text"),
        (b"null", 'no "format"'),
        (b"[]", 'no "format"'),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"format":' * 200_000, "nested too deeply"),
        (b'{"format":1,"format":2}', "the key 'format' occurs twice"),
        (b'{"format":{"a":1,"b":2,"a":1}}', "the key 'a' occurs twice"),
        (b'{"format":NaN}', "NaN is not a number"),
        (b'{"format":-Infinity}', "-Infinity is not a number"),
        (b'{"format":1e999}', "does not fit a 64-bit float"),
        (b'{"format":9223372036854775808}', "does not fit int64"),
        (b'{"format":-9223372036854775809}', "does not fit int64"),
        (b'{"format":' + b"9" * 5000 + b"}", "does not fit int64"),
        (changed(format="onnx"), "its format is 'onnx'"),
        (changed(format=["axsurrogate.surrogate"]), "its format is"),
        (changed(version="1"), "must be an integer"),
        (changed(version=True), "must be an integer"),
        (changed(version=1.0), "must be an integer"),
        (changed(version=None), "must be an integer"),
        (changed(version=3), r"has version 3 of the format \(written by axsurrogate .*reads up to 2; upgrade"),
        (changed(version=2), "has version 2 of the format, but its basis functions are of 1"),
        (changed(version=3, content={}), "has version 3 of the format, and this package reads up to 2; upgrade"),
        (changed(version=3, content=0, extra=1), "upgrade axsurrogate"),
        (changed(version=0), "which never existed"),
        (changed(version=-5), "which never existed"),
        (changed(sha256="0" * 64), "changed or damaged after it was written"),
        (changed(sha256=None), "changed or damaged"),
        (changed(sha256=json.loads(VALID)["sha256"].upper()), "changed or damaged"),
        (changed(extra=1), "has the fields"),
        (VALID.replace(b'"version":1', b'"Version":1'), "version of the format"),
        (VALID.replace(b"bam3s", b"bam4s"), "changed or damaged"),
    ],
)
def test_each_attack_has_its_reason(data, reason):
    with pytest.raises(SurrogateFileError, match=reason) as caught:
        loads(data, source="x.json")
    assert str(caught.value).startswith("x.json: ")


TABLE = {"operand": "3s", "type": "integer", "values": list(range(8))}


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("terms",), {}, "terms must be a list"),
        (("terms", 0), [], "a term is stored as"),
        (("terms", 0, "coefficient"), True, "coefficient"),
        (("terms", 0, "coefficient"), "1", "coefficient"),
        (("terms", 0, "coefficient"), 1 << 62, "beyond int64"),
        (("terms", 0, "coefficient"), 1e308, "beyond int64"),
        (("terms", 0, "a", "name"), "__import__", "unknown basis function"),
        (("terms", 0, "a", "name"), {}, "unknown basis function"),
        (("terms", 0, "a", "configuration"), {"bits": 1}, "configured by"),
        (("terms", 0, "a"), {"name": "mod", "configuration": {"bits": True}}, "bits must be an integer"),
        (("terms", 0, "a"), {"name": "mod", "configuration": {"bits": 10**9}}, "bits must be an integer"),
        (("terms", 0, "a"), {"name": "bit", "configuration": {"position": -1}}, "position must be"),
        (("terms", 0, "a"), {"name": "leading_one_truncate", "configuration": {"bits": 1, "unbiased": 0}}, "unbiased"),
        (("terms", 0, "a"), {"name": "table", "configuration": TABLE | {"values": [1] * 7}}, "needs 8 values"),
        (("terms", 0, "a"), {"name": "table", "configuration": TABLE | {"values": [[1]] * 8}}, "list of numbers"),
        (("terms", 0, "a"), {"name": "table", "configuration": TABLE | {"values": [True] * 8}}, "list of numbers"),
        (("terms", 0, "a"), {"name": "table", "configuration": TABLE | {"values": [0.5] * 8}}, "list of numbers"),
        (("terms", 0, "a"), {"name": "table", "configuration": TABLE | {"type": "object"}}, "type must be"),
        (
            ("terms", 0, "a"),
            {"name": "table", "configuration": TABLE | {"operand": "33u"}},
            "bits must be from 1 to 32",
        ),
        (("terms", 0, "a"), {"name": "table", "configuration": TABLE | {"operand": "32u"}}, "needs 4294967296 values"),
        (("terms", 0, "a"), {"name": "table", "configuration": TABLE | {"operand": "3u"}}, "defined on 3u"),
        (("multiplier", "a"), "99s", "bits must be from 1 to 32"),
        (("multiplier", "a"), "0u", "not understood"),
        (("multiplier", "a"), 8, "not understood"),
        (("multiplier", "a"), None, "not understood"),
        (("multiplier", "a"), "32s", "identified by a sample"),
        (("multiplier", "name"), 5, "must be text"),
        (("multiplier", "name"), "\ud800", "must be text"),
        (("multiplier", "fingerprint"), "../../etc/passwd", "fingerprint"),
        (("multiplier", "fingerprint_of"), "all", "fingerprint_of"),
        (("provenance", "method"), None, "must be text"),
        (("provenance", "options"), [], "must be an object"),
        (("provenance", "options"), {"k": [1]}, "not a plain value"),
        (("certificate",), [], "a certificate has the fields"),
        (("certificate", "comparison"), "proven", "comparison must be one of"),
        (("certificate", "n_pairs"), 0, "cannot differ"),
        (("certificate", "n_pairs"), 63, "calls them all"),
        (("certificate", "n_different"), 1, "contradict"),
        (("certificate", "max_abs_residual"), None, "finite number"),
        (("certificate", "rms_residual"), -1.0, "cannot be negative"),
    ],
    ids=str,
)
def test_forged_contents(path, value, reason):
    content = json.loads(VALID)["content"]
    with pytest.raises(SurrogateFileError, match=reason):
        loads(signed(replaced(content, path, value)))


def test_a_small_file_cannot_ask_for_a_huge_table():
    content = json.loads(VALID)["content"]
    wide = {"a": "32s", "b": "32u", "name": "w", "fingerprint": "0" * 64, "fingerprint_of": "sample"}
    one = {
        "coefficient": 1,
        "a": {"name": "mod", "configuration": {"bits": 9}},
        "b": {"name": "sign", "configuration": {}},
    }
    forged = signed(content | {"multiplier": wide, "terms": [one] * 2000, "certificate": None})
    start = time.perf_counter()
    assert loads(forged).n_terms == 2000
    assert time.perf_counter() - start < 5


def test_size_limit(tmp_path):
    path = tmp_path / "big.json"
    path.write_bytes(VALID + b" " * 1000)
    assert load(path)
    with pytest.raises(SurrogateFileError, match=r"big\.json: is larger than 500 bytes; pass max_bytes"):
        load(path, max_bytes=500)
    with pytest.raises(SurrogateFileError, match="is larger than"):
        loads(b" " * ((64 << 20) + 1))


def test_special_files_are_refused():
    with pytest.raises(SurrogateFileError, match="/dev/null: is not JSON"):
        load("/dev/null")
    with pytest.raises(SurrogateFileError, match="is larger than"):
        load("/dev/zero")
