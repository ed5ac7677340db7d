"""Commands that find, show and export surrogates."""

import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import multipliers
import surrogate
from catalog.cli.app import app
from multipliers.writers.arrays import write_npz
from surrogate.export import TARGETS


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def as_json(*arguments, code=0):
    done = run(*arguments, "--json")
    assert done.exit_code == code, done.stderr
    return json.loads(done.stdout)


def refused(*arguments, code=2):
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def same_surrogate(record, expected):
    """Check a JSON record against a surrogate of the library."""
    certificate = expected.certificate
    assert record["certificate"] == certificate.to_dict()
    assert record["share_different"] == certificate.share_different
    assert (record["n_terms"], record["n_products"]) == (expected.n_terms, expected.n_products)
    assert (record["formula"], record["is_exact"]) == (expected.formula(), expected.is_exact)
    assert record["exact_lengths"] == surrogate.exact_lengths(expected.factors())
    assert record["multiplier"]["fingerprint"] == expected.multiplier.fingerprint
    return True


@pytest.fixture
def exact_file(tmp_path):
    """File of the exact surrogate of ``bam8s_h0v2``."""
    path = tmp_path / "bam.json"
    surrogate.save(surrogate.discover(multipliers.get("bam8s_h0v2")), path)
    return path


@pytest.mark.parametrize("method", surrogate.METHODS)
def test_discover_is_what_the_library_finds(tmp_path, method):
    expected = surrogate.discover(multipliers.get("mitchell6u"), method=method)
    file = tmp_path / "m.json"
    data = as_json("discover", "mitchell6u", "--method", method, "-o", file)
    assert data["failures"] == []
    (record,) = data["surrogates"]
    assert same_surrogate(record, expected)
    assert (record["method"], record["spec"]) == (method, "mitchell6u")
    assert surrogate.load(file) == expected
    assert record["n_bytes"] == file.stat().st_size
    assert 0 < record["seconds"] < 60


def test_exact_is_the_default_method():
    assert as_json("discover", "udm6u")["surrogates"][0]["method"] == "exact"


def test_options_reach_their_methods(tmp_path):
    m, rng = multipliers.get("mitchell6u"), np.random.default_rng(3)
    p, q = rng.random(64), rng.random(64)
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "q.npy", q)
    weights = ("--weights-a", tmp_path / "p.npy", "--weights-b", tmp_path / "q.npy")

    def only(*options):
        return as_json("discover", "mitchell6u", *options)["surrogates"][0]

    lowrank = surrogate.discover(m, "lowrank", terms=3, weights_a=p, weights_b=q)
    assert same_surrogate(only("--method", "lowrank", "--terms", 3, *weights), lowrank)
    htp = surrogate.discover(m, "htp", basis="mod", decimals=None)
    assert same_surrogate(only("--method", "htp", "--basis", "mod", "--decimals", "none"), htp)
    assert same_surrogate(only("--method", "htp", "--decimals", "3"), surrogate.discover(m, "htp", decimals=3))
    sampled = only("--sample", 500)
    assert (sampled["certificate"]["comparison"], sampled["certificate"]["n_pairs"]) == ("sampled", 500)
    assert not sampled["is_exact"]
    every = as_json("discover", "mitchell6u", "--method", "all", "--terms", 3, "--basis", "mod", *weights)["surrogates"]
    assert [record["method"] for record in every] == list(surrogate.METHODS)
    assert every[0]["is_exact"]
    assert every[1]["provenance"]["options"]["basis"] == "mod"
    assert same_surrogate(every[2], lowrank)


def test_comparison_of_all_methods(tmp_path):
    done = run("discover", "mitchell6u", "--method", "all", "-o", tmp_path)
    assert done.exit_code == 0
    files = [tmp_path / f"mitchell6u.{method}.json" for method in surrogate.METHODS]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    found = [surrogate.load(file) for file in files]
    rows = {line[:28].strip(): line[28:].split() for line in done.stdout.splitlines()}
    assert rows["terms"] == [str(s.n_terms) for s in found]
    assert rows["file size (bytes)"] == [f"{file.stat().st_size:,}" for file in files]
    assert rows["RMS residual (LSB)"] == ["0" if s.is_exact else f"{s.certificate.rms_residual:,.6g}" for s in found]
    assert [word for word in rows["compared"] if word != "pairs"] == ["all", "4,096"] * 3
    lengths = [surrogate.exact_lengths(s.factors())["float32"] for s in found]
    assert rows["float32"] == [f"{n:,}" if n else "none" for n in lengths]
    assert len(rows["seconds"]) == 3


def test_many_multipliers_make_one_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = ("udm6u", "trunc6u_t2", "bam6s_h0v3")
    for label in labels:
        write_npz(multipliers.get(label), tmp_path / f"{label}.npz")
    done = run("discover", *(f"{label}.npz" for label in labels), "--method", "all", "--markdown")
    assert done.exit_code == 0
    head, rule, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines())
    assert head[:4] == ["multiplier", "exact: terms", "exact: wrong", "exact: RMS (LSB)"]
    assert rule == ["---", *["---:"] * 9]
    assert [row[0] for row in rows] == list(labels)
    for label, row in zip(labels, rows, strict=True):
        found = [surrogate.discover(multipliers.get(label), method=method) for method in surrogate.METHODS]
        assert [int(row[i]) for i in (1, 4, 7)] == [s.n_terms for s in found]
        assert row[2:4] == ["0 %", "0"]
        assert row[5] == f"{100 * found[1].certificate.share_different:.4g} %"
    text = run("discover", "udm6u", "trunc6u_t2").stdout
    assert [line.split()[:4] for line in text.splitlines()[2:]] == [
        ["udm6u", "2", "2", "0"],
        ["trunc6u_t2", "1", "1", "0"],
    ]


def test_one_failure_does_not_stop_the_rest(tmp_path):
    done = run("discover", "udm6u", "no_such6u", tmp_path / "missing.npz", "trunc6u_t2")
    assert done.exit_code == 2
    assert "udm6u" in done.stdout
    assert "trunc6u_t2" in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: no_such6u: unknown multiplier")
    assert "does not exist" in lines[1]
    data = as_json("discover", "udm6u", "no_such6u", code=2)
    assert [record["spec"] for record in data["surrogates"]] == ["udm6u"]
    assert [(f["spec"], f["method"]) for f in data["failures"]] == [("no_such6u", None)]


def test_a_method_that_fails_leaves_a_gap():
    data = as_json("discover", "mitchell6u", "--terms", 2, code=2)
    assert data["surrogates"] == []
    assert [(f["spec"], f["method"]) for f in data["failures"]] == [("mitchell6u", "exact")]
    done = run("discover", "mitchell6u", "trunc6u_t2", "--terms", 2)
    assert done.exit_code == 2
    row = next(line.split() for line in done.stdout.splitlines() if "mitchell6u" in line)
    assert row == ["mitchell6u", *["-"] * 9]


def test_same_name_twice_is_not_overwritten(tmp_path):
    for folder, label in (("x", "udm6u"), ("y", "trunc6u_t2")):
        (tmp_path / folder).mkdir()
        table = multipliers.get(label).table()
        write_npz(multipliers.TableMultiplier(table, "6u", name="../mine"), tmp_path / folder / "mine.npz")
    (tmp_path / "out").mkdir()
    done = run("discover", tmp_path / "x/mine.npz", tmp_path / "y/mine.npz", "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "was written for another multiplier" in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["_mine.exact.json"]
    assert surrogate.load(tmp_path / "out/_mine.exact.json", multipliers.get("udm6u")).is_exact


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("udm6u", "--method", "magic"), "choose one of exact, htp, lowrank, all"),
        (("udm6u", "--decimals", "many"), "--decimals must be a number"),
        (("udm6u", "--decimals", "2"), "decimals is an option of method 'htp'"),
        (("udm6u", "--method", "htp", "--basis", "wavelet"), "basis must be one of"),
        (("udm6u", "--method", "htp", "--terms", "3"), "terms is an option of"),
        (("udm6u", "--sample", "0"), "positive number of pairs"),
        (("udm6u", "--json", "--markdown"), "exclude each other"),
        (("udm6u", "-o", "x.txt"), "must end in .json"),
        (("udm6u", "trunc6u_t2", "-o", "x.json"), "give -o an existing folder"),
        (("udm6u", "trunc6u_t2", "-o", "x"), "create it first"),
        (("udm6u", "-o", "nowhere/x.json"), "create it first"),
    ],
)
def test_bad_arguments_of_discover(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused("discover", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_discover_from_a_function(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cli_found.py").write_text("print('hello')\ndef even(a, b):\n    return (a & ~1) * b\n")
    try:
        done = run("discover", "cli_found:even", "--a", "4s", "--b", "5u", "--json")
    finally:
        sys.modules.pop("cli_found", None)
    (record,) = json.loads(done.stdout)["surrogates"]
    assert (record["n_terms"], record["is_exact"]) == (1, True)
    assert (record["multiplier"]["a"], record["multiplier"]["b"]) == ("4s", "5u")


def test_show(exact_file):
    expected = surrogate.load(exact_file)
    data = as_json("show", exact_file)
    assert same_surrogate(data, expected)
    assert data["terms"] == expected.to_dict()["terms"]
    assert data["verification"] is None
    text = run("show", exact_file).stdout
    assert expected.multiplier.fingerprint in text
    assert expected.formula() in text
    assert "yes, proven" in text
    low, high = expected.terms[1].a.values.min(), expected.terms[1].a.values.max()
    assert f"{low} ... {high}" in text


def test_verify_that_holds(exact_file, tmp_path):
    done = run("show", exact_file, "--verify", "bam8s_h0v2")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "Verified: the certificate holds against bam8s_h0v2."
    write_npz(multipliers.get("bam8s_h0v2"), tmp_path / "other_name.npz")
    data = as_json("show", exact_file, "--verify", tmp_path / "other_name.npz")
    assert data["verification"]["holds"]


def test_verify_another_multiplier(exact_file):
    done = run("show", exact_file, "--verify", "bam8s_h0v3")
    assert done.exit_code == 1
    assert "stands for 'bam8s_h0v2'" in done.stderr
    assert "Verified" not in done.stdout
    data = as_json("show", exact_file, "--verify", "bam8s_h0v3", code=1)
    assert not data["verification"]["holds"]
    assert data["verification"]["against"] == "bam8s_h0v3"


def test_verify_a_lie(tmp_path):
    m = multipliers.get("mitchell6u")
    honest = surrogate.discover(m, "htp")
    c = honest.certificate.to_dict()
    lie = surrogate.Certificate(**{**c, "n_different": 0, **{k: 0.0 for k in c if "residual" in k}})
    surrogate.save(honest.with_certificate(lie), tmp_path / "lie.json")
    assert run("show", tmp_path / "lie.json").exit_code == 0
    done = run("show", tmp_path / "lie.json", "--verify", "mitchell6u")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert "certificate does not hold" in done.stderr


def test_show_without_a_certificate(tmp_path):
    bare = surrogate.discover(multipliers.get("udm6u")).with_certificate(None)
    surrogate.save(bare, tmp_path / "bare.json")
    data = as_json("show", tmp_path / "bare.json")
    assert data["certificate"] is None
    assert not data["is_exact"]
    assert "certificate" in run("show", tmp_path / "bare.json").stdout


def test_widest_operands_are_shown_without_tables(tmp_path):
    from surrogate.basis import Identity

    m = multipliers.get("exact31u")
    wide = surrogate.Surrogate(
        [surrogate.Term(1, Identity(), Identity())],
        surrogate.MultiplierReference.of(m),
        surrogate.Provenance("by hand"),
    )
    surrogate.save(surrogate.certify(wide, m, sample=1000), tmp_path / "wide.json")
    data = as_json("show", tmp_path / "wide.json", "--verify", "exact31u")
    assert data["exact_lengths"] is None
    assert data["verification"]["holds"]
    assert "not refuted" in run("show", tmp_path / "wide.json").stdout


HOSTILE = {
    "empty": b"",
    "no JSON": b"hello",
    "not UTF-8": b"\xff\xfe{}",
    "another object": b"{}",
    "a list": b"[1, 2]",
    "NaN": b'{"format": NaN}',
    "deep": b"[" * 100_000,
    "huge number": b'{"format": ' + b"9" * 5000 + b"}",
    "future": b'{"format": "axsurrogate.surrogate", "version": 99, "sha256": "", "content": {}}',
    "escape codes": b'{"format": "\\u001b[2J"}',
}


@pytest.mark.parametrize("command", [("show",), ("export", "--to", "c")], ids=lambda c: c[0])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files(tmp_path, kind, command):
    (tmp_path / "x.json").write_bytes(HOSTILE[kind])
    message = refused(*command, tmp_path / "x.json")
    assert "x.json: " in message
    assert "\x1b" not in message


def test_damaged_and_missing_files(exact_file, tmp_path):
    exact_file.write_bytes(exact_file.read_bytes().replace(b'"coefficient":', b'"coefficient":1', 1))
    assert "hash does not match" in refused("show", exact_file)
    assert "missing.json: No such file" in refused("show", tmp_path / "missing.json")
    assert "is a folder" in refused("show", tmp_path)


def test_names_in_a_file_cannot_send_escape_codes(tmp_path):
    m = multipliers.get("udm6u")
    evil = multipliers.TableMultiplier(m.table(), "6u", name="\x1b[2Jevil\n")
    surrogate.save(surrogate.discover(evil), tmp_path / "evil.json")
    text = run("show", tmp_path / "evil.json").stdout
    assert "\x1b" not in text
    assert r"\x1b[2Jevil\n" in text


@pytest.mark.parametrize("target", ["python", "c", "sympy", "latex", "words"])
def test_export(exact_file, tmp_path, target):
    expected = TARGETS[target].write(surrogate.load(exact_file))
    done = run("export", exact_file, "--to", target)
    assert (done.exit_code, done.stdout, done.stderr) == (0, expected, "")
    assert run("export", exact_file, "--to", target, "-o", "-").stdout == expected
    path = tmp_path / f"out{TARGETS[target].suffix}"
    written = run("export", exact_file, "--to", target, "-o", path)
    assert (written.exit_code, written.stdout) == (0, "")
    assert path.read_text() == expected


@pytest.mark.parametrize("target", ["onnx", "torchapprox"])
def test_verified_export(tmp_path, target):
    found = surrogate.discover(multipliers.get("bam8u_h0v1"), method="htp")
    surrogate.save(found, tmp_path / "s.json")
    expected = TARGETS[target].content(found)
    done = run("export", tmp_path / "s.json", "--to", target, "--verify")
    assert (done.exit_code, done.stdout_bytes, done.stderr) == (0, expected, "")
    path = tmp_path / f"out{TARGETS[target].suffix}"
    assert run("export", tmp_path / "s.json", "--to", target, "-o", path).exit_code == 0
    assert path.read_bytes() == expected


def test_exported_python_multiplies(exact_file):
    namespace = {}
    exec(run("export", exact_file, "--to", "python").stdout, namespace)  # noqa: S102
    m = multipliers.get("bam8s_h0v2")
    a, b = m.a.values()[:, None], m.b.values()[None, :]
    assert np.array_equal(namespace["multiply"](a, b), m.table())


def test_bad_arguments_of_export(exact_file, tmp_path):
    assert "choose one of python, c, sympy, latex, words" in refused("export", exact_file, "--to", "verilog")
    assert "create it first" in refused("export", exact_file, "--to", "c", "-o", tmp_path / "nowhere" / "x.h")
    assert "is a folder" in refused("export", exact_file, "--to", "c", "-o", tmp_path)
    assert "no ordinary file" in refused("export", exact_file, "--to", "c", "-o", "/dev/stdout")
    assert "verify is for the targets" in refused("export", exact_file, "--to", "c", "--verify")
    assert "does not fit TorchApprox" in refused("export", exact_file, "--to", "torchapprox")
    assert all(name in run("export", "--help").output for name in TARGETS)


def test_the_recipe_and_what_its_choices_cost():
    result = CliRunner().invoke(app, ["recipe", "bam4u_h1v2", "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert rows[0]["basis"] == "published"
    assert {row["solver"] for row in rows} == {"ols", "omp", "lasso"}
    for option in ([], ["--markdown"]):
        result = CliRunner().invoke(app, ["recipe", "bam4u_h1v2", *option])
        assert result.exit_code == 0, result.output
        assert "RMS rounded" in result.stdout
        assert "published" in result.stdout


def test_the_solver_of_the_recipe():
    results = [
        CliRunner().invoke(app, ["discover", "bam6u_h2v4", "--method", "htp", "--json", *more])
        for more in ([], ["--basis", "bits", "--solver", "omp"])
    ]
    published, sparse = (json.loads(result.stdout)["surrogates"][0] for result in results)
    assert sparse["certificate"]["rms_residual"] < published["certificate"]["rms_residual"]
    assert "option of method 'htp'" in refused("discover", "bam6u_h2v4", "--solver", "omp")
