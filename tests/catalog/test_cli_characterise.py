import json
import sys
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

import multipliers
from catalog import entry
from catalog.cli.app import app
from multipliers.characterise import Characterisation, characterise
from multipliers.distributions import OperandDistributions
from multipliers.readers.arrays import read_array
from multipliers.writers.arrays import write_npz
from multipliers.writers.weights import write_distributions


def run(*arguments):
    return CliRunner().invoke(app, ["characterise", *(str(argument) for argument in arguments)])


def as_json(*arguments):
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def refused(*arguments):
    """Return the message of a run that fails with one line on stderr and nothing on stdout."""
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def plain(found: Characterisation):
    return json.loads(json.dumps(found.to_dict()))


def lopsided():
    """Asymmetric random table with f(0, 0) not 0: 3-bit unsigned by 4-bit signed."""
    rng = np.random.default_rng(7)
    a, b = multipliers.OperandFormat(3), multipliers.OperandFormat(4, True)
    products = np.multiply.outer(a.values(), b.values()) + rng.integers(-3, 4, (8, 16))
    products[0, 8] = 5
    return multipliers.TableMultiplier(products, a, b, name="lopsided")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Folder of a user's module, the current one."""
    (tmp_path / "cli_design.py").write_text(
        "print('loading')\n"
        "def cleared(a, b):\n    return (a & ~3) * b\n"
        "def fails(a, b):\n    return a * b // (b[0] - b[0]) if getattr(a, 'ndim', 0) else 1 // 0\n"
        "def fails_late(a, b):\n    if a.size > 100:\n        raise KeyError('late')\n    return a * b\n"
    )
    (tmp_path / "cli_syntax.py").write_text("def (:\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("cli_design", "cli_syntax"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("label", ["udm8u", "bam8s_h0v3", "exact8x4u", "drum8s_k4"])
def test_json_is_what_the_library_measures(label):
    found = characterise(multipliers.get(label))
    data = as_json(label)
    figures = data.pop("published")
    assert data.pop("n_exact_products") == found.n_exact_products
    assert data == plain(found)
    assert bool(figures) == (label in ("udm8u", "bam8s_h0v3") and bool(entry(label).figures))


def test_table_file_of_mixed_formats(tmp_path):
    m = lopsided()
    write_npz(m, tmp_path / "m.npz")
    data = as_json(tmp_path / "m.npz")
    assert data["fingerprint"] == m.fingerprint()
    assert (data["a"], data["b"], data["name"]) == ("3u", "4s", "lopsided")
    np.save(tmp_path / "m.npy", m.table())
    again = as_json(tmp_path / "m.npy", "--a", "3u", "--b", "4s")
    assert again["metrics"] == data["metrics"]
    assert again["metrics"]["max_error"] == int((m.table() - m.exact(m.a.values()[:, None], m.b.values())).max())


def test_function_of_a_module(module):
    data = as_json("cli_design:cleared", "--a", "6u")
    assert (
        data["metrics"]
        == plain(
            characterise(
                multipliers.CallableMultiplier(
                    lambda a, b: (a & ~3) * b, multipliers.OperandFormat(6), multipliers.OperandFormat(6)
                )
            )
        )["metrics"]
    )
    assert data["product_spectrum"]["rank"] == 1


def test_what_a_module_prints_does_not_reach_stdout(module):
    done = run("cli_design:cleared", "--a", "4u", "--json")
    assert "loading" in done.stderr
    assert json.loads(done.stdout)["name"] == "cleared"


def test_weights_and_samples(tmp_path):
    m, rng = multipliers.get("udm8u"), np.random.default_rng(1)
    p, q = rng.random(256), rng.random(256)
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "q.npy", q)
    both = as_json("udm8u", "--weights-a", tmp_path / "p.npy", "--weights-b", tmp_path / "q.npy")
    assert both["metrics"] == plain(characterise(m, p, q))["metrics"]
    assert both["published"] == []
    one = as_json("udm8u", "--weights-b", tmp_path / "q.npy")
    assert one["metrics"]["wmed"] == characterise(m, None, q).metrics.wmed
    assert one["metrics"]["wmed"] != both["metrics"]["wmed"]
    sampled = as_json("udm8u", "--sample", 1000)["metrics"]
    assert (sampled["comparison"], sampled["n_pairs"]) == ("sampled", 1000)


def test_every_pair_leaves_a_narrow_multiplier_exhaustive():
    assert as_json("udm8u", "--every-pair") == as_json("udm8u")
    assert "leave one of them out" in refused("udm8u", "--every-pair", "--sample", 10)


def test_report_for_people():
    text = run("bam8s_h0v2").stdout
    values = {line.rsplit("  ", 1)[0].strip(): line.split()[-2:] for line in text.splitlines() if line.startswith("  ")}
    assert values["mean error (bias)"][-2:] == ["-1.25", "LSB"]
    assert values["worst-case error (WCE)"] == ["5", "LSB"]
    assert values["operand pairs"][-1] == "65,536"
    assert values["rank of errors"][-1] == "2"
    assert values["products that simulate it exactly"][-1] == "3"
    assert multipliers.get("bam8s_h0v2").fingerprint() in text


def test_published_figures_stand_next_to_the_measured_ones():
    figures = as_json("bam8s_h0v2")["published"]
    assert [(f["metric"], f["value"]) for f in figures] == [(f.metric, f.value) for f in entry("bam8s_h0v2").figures]
    wce = next(f for f in figures if f["metric"] == "wce")
    assert wce["measured"] == pytest.approx(100 * 5 / 65536)
    assert wce["agrees"]
    explained = next(f for f in figures if f["metric"] == "mae")
    assert not explained["agrees"]
    assert explained["note"]
    row = next(line.split() for line in run("bam8s_h0v2").stdout.splitlines() if line.strip().startswith("wce "))
    assert row[1:4] == ["0.0076", "0.00762939", "yes"]


def test_a_table_is_recognised_by_its_products(tmp_path):
    m = multipliers.get("udm8u")
    write_npz(multipliers.TableMultiplier(m.table(), "8u", name="mine"), tmp_path / "mine.npz")
    assert "the same products as udm8u" in run(tmp_path / "mine.npz").stdout
    assert len(as_json(tmp_path / "mine.npz")["published"]) == len(entry("udm8u").figures)


def test_files_are_written(tmp_path):
    names = ["c.json", "c.PNG", "c.svg", "c.pdf", "c.npz"]
    outputs = [part for name in names for part in ("-o", tmp_path / name)]
    done = run("bam8s_h0v2", *outputs, "--json")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["wrote"] * len(names)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    assert (tmp_path / "c.json").read_text() == done.stdout
    assert (tmp_path / "c.PNG").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "c.svg").read_bytes()
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")
    assert read_array(tmp_path / "c.npz").fingerprint() == multipliers.get("bam8s_h0v2").fingerprint()


def test_weighted_picture_is_drawn_from_the_weighted_measurement(tmp_path):
    np.save(tmp_path / "p.npy", np.arange(256))
    done = run("udm8u", "--weights-a", tmp_path / "p.npy", "-o", tmp_path / "c.svg")
    assert done.exit_code == 0
    assert (tmp_path / "c.svg").stat().st_size > 1000


def test_output_replaces_a_file_and_keeps_a_link(tmp_path):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    assert run("udm8u", "-o", tmp_path / "link.json").exit_code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["name"] == "udm8u"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("c.txt", "must end in .json, .png, .svg, .pdf, .npz"),
        ("nowhere/c.json", "create it first"),
        ("folder.json", "is a folder"),
    ],
)
def test_bad_outputs_are_refused_before_any_work(tmp_path, name, said):
    (tmp_path / "folder.json").mkdir()
    assert said in refused("no_such_module:function", "--a", "8u", "-o", tmp_path / name)
    assert said in refused("udm8u", "-o", tmp_path / "c.png", "-o", tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.json"]


def test_devices_are_never_replaced():
    assert "no ordinary file" in refused("udm8u", "-o", "/dev/null.json")


def test_table_of_a_wide_multiplier_is_refused(tmp_path):
    message = refused("udm16u", "--sample", 1000, "-o", tmp_path / "wide.npz")
    assert "2**24" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("drm8u_k4", "did you mean 'drum8u_k4'"),
        ("drum8u_k40", "from 1 to 8"),
        ("missing.npz", "does not exist"),
        ("no_such_module_of_anyone:f", "cannot import"),
        ("numpy:no_such_name", "unknown name in 'numpy'"),
        ("math:gcd", "does not say its operand formats"),
    ],
)
def test_unknown_specs(spec, said):
    assert said in refused(spec)


def test_operand_formats_that_contradict():
    assert "operand a of udm8u is 8u, not 4u" in refused("udm8u", "--a", "4u")
    assert "not understood" in refused("udm8u", "--a", "eight")


def bad_tables():
    good = np.multiply.outer(np.arange(16), np.arange(16))
    return {
        "nan": (good * np.where(good == 6, np.nan, 1), "nan"),
        "float": (good + 0.5, "whole"),
        "width": (good[:15], "powers of two"),
        "cube": (good[None], "two dimensions"),
        "text": (good.astype(str), "integers"),
        "objects": (good.astype(object), "pickled"),
        "signs": (np.zeros((16, 16), int), "cannot tell the signs"),
    }


@pytest.mark.parametrize("kind", bad_tables())
def test_bad_tables(tmp_path, kind):
    table, said = bad_tables()[kind]
    np.save(tmp_path / "bad.npy", table, allow_pickle=True)
    assert said in refused(tmp_path / "bad.npy")


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "text.npz").write_text("0 1\n2 3\n")
    assert "neither a .npy nor a .npz file" in refused(tmp_path / "text.npz")
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    assert "holds 0 arrays" in refused(tmp_path / "empty.npz")
    (tmp_path / "folder.npz").mkdir()
    assert "is a folder" in refused(tmp_path / "folder.npz")


def test_bad_weights(tmp_path):
    np.save(tmp_path / "short.npy", np.ones(255))
    assert "shape (256,)" in refused("udm8u", "--weights-a", tmp_path / "short.npy")
    np.save(tmp_path / "negative.npy", np.full(256, -1.0))
    assert "not negative" in refused("udm8u", "--weights-b", tmp_path / "negative.npy")
    (tmp_path / "text.npy").write_text("1 2 3")
    assert "is no .npy file" in refused("udm8u", "--weights-a", tmp_path / "text.npy")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "short.npy").read_bytes()[:200])
    assert "truncated or not in .npy format" in refused("udm8u", "--weights-a", tmp_path / "cut.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert "objects" in refused("udm8u", "--weights-a", tmp_path / "objects.npy")
    assert "missing.npy: No such file" in refused("udm8u", "--weights-a", tmp_path / "missing.npy")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("cli_design:fails", "integer division"),
        ("cli_design:fails_late", "its code raised KeyError: 'late' (cli_design.py, line 8); axsurrogate --debug"),
        ("cli_syntax:f", "its code raised SyntaxError"),
    ],
)
def test_errors_of_the_users_code(module, spec, said):
    done = run(spec, "--a", "6u")
    assert (done.exit_code, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last


def test_names_cannot_send_escape_codes(tmp_path):
    m = multipliers.get("udm8u")
    write_npz(multipliers.TableMultiplier(m.table(), "8u", name="evil\x1b[2J\x07\n[red]"), tmp_path / "m.npz")
    text = run(tmp_path / "m.npz").stdout
    assert "\x1b" not in text
    assert "\x07" not in text
    assert r"evil\x1b[2J\x07\n[red]" in text


@pytest.mark.slow
def test_wide_multiplier_is_sampled():
    data = as_json("drum16u_k6")
    assert data["metrics"]["comparison"] == "sampled"
    assert not data["complete"]
    assert data["fingerprint"] == multipliers.get("drum16u_k6").sample_fingerprint()
    assert data["published"]
    assert "sub-matrix" in run("drum16u_k6", "--sample", 1000).stdout


def test_sampled_metrics_are_printed_with_their_intervals():
    sampled = run("mitchell8u", "--sample", 2000, "--confidence", 0.99).stdout
    data = as_json("mitchell8u", "--sample", 2000, "--confidence", 0.99)["metrics"]
    bias = data["intervals"]["mean_error"]
    assert f"sampled: 99 % in [{bias['low']:.6g}, {bias['high']:.6g}]" in sampled
    assert f"sampled: at least {data['wce']:,}" in sampled
    assert f"sampled: at most {data['min_error']:,}" in sampled
    assert "in [" not in run("mitchell8u").stdout
    assert "confidence must be a number between 0 and 1" in refused("mitchell8u", "--confidence", 95)


def test_weights_of_both_operands_in_one_file(tmp_path):
    rng = np.random.default_rng(0)
    form = multipliers.OperandFormat(8)
    distributions = OperandDistributions(form, form, rng.integers(0, 99, 256), rng.integers(0, 99, 256))
    path = write_distributions(distributions, tmp_path / "layer.npz")
    found = as_json("udm8u", "--weights-a", path, "--weights-b", path)
    np.save(tmp_path / "p.npy", distributions.weights_a)
    np.save(tmp_path / "q.npy", distributions.weights_b)
    assert found == as_json("udm8u", "--weights-a", tmp_path / "p.npy", "--weights-b", tmp_path / "q.npy")
    np.savez(tmp_path / "other.npz", a=np.ones(256))
    assert "has no array 'b'" in refused("udm8u", "--weights-a", tmp_path / "other.npz")
    path.write_bytes(path.read_bytes()[:-30])
    assert "truncated or corrupt" in refused("udm8u", "--weights-b", path)
