"""Discovery by what is needed, closed forms, fronts and measured costs, on the command line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import multipliers
import surrogate
from catalog.cli.app import app
from surrogate.fit.gain import rms_residual, weighting_gain


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def as_json(*arguments):
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def refused(*arguments):
    done = run(*arguments)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    return done.stderr


def same_surrogate(record, expected):
    assert record["certificate"] == expected.certificate.to_dict()
    assert record["formula"] == expected.formula()
    assert (record["n_terms"], record["n_products"]) == (expected.n_terms, expected.n_products)
    return True


OPTIONS = {
    "exact": (("--exact",), {"exact": True}),
    "products": (("--max-products", 2), {"max_products": 2}),
    "residual": (("--max-residual", 30.5), {"max_residual": 30.5}),
    "share": (("--max-share", "10%"), {"max_share": 0.1}),
    "fraction": (("--max-share", "0.05", "--max-products", 9), {"max_share": 0.05, "max_products": 9}),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_an_objective_chooses_as_the_library_does(case, tmp_path):
    options, fields = OPTIONS[case]
    m = multipliers.get("mitchell6u")
    expected = surrogate.select(m, surrogate.Objective(**fields))
    data = as_json("discover", "mitchell6u", *options, "-o", tmp_path / "s.json")
    (record,) = data["surrogates"]
    assert same_surrogate(record, expected.surrogate)
    assert surrogate.load(tmp_path / "s.json") == expected.surrogate
    choice = record["choice"]
    assert choice["engine"] == expected.chosen.engine
    assert [c["cost"] for c in choice["candidates"]] == [c.cost for c in expected.candidates]
    assert choice["rms_error"] == expected.error


def test_costs_decide_and_are_told(tmp_path):
    surrogate.CostModel(int8=100.0, float32=100.0, shape="dear products").save(tmp_path / "dear.json")
    surrogate.CostModel(table=10.0).save(tmp_path / "usual.json")
    usual = run("discover", "mitchell6u", "--max-share", "10%", "--costs", tmp_path / "usual.json").stdout
    dear = run("discover", "mitchell6u", "--max-share", "10%", "--costs", tmp_path / "dear.json").stdout
    assert "3 x 1.2 (float32)); by table 10 times" in usual
    assert "lookup table" not in usual
    assert "The lookup table is cheaper here, and exact: ApproxConfig(backend='table')" in dear
    assert "dear products" in dear
    weights = tmp_path / "w.npy"
    np.save(weights, np.exp(-np.arange(64) / 6))
    (record,) = as_json("discover", "mitchell6u", "--max-share", "10%", "--weights-a", weights)["surrogates"]
    expected = surrogate.select(
        multipliers.get("mitchell6u"), surrogate.Objective(max_share=0.1), weights_a=np.load(weights)
    )
    assert same_surrogate(record, expected.surrogate)


def test_what_cannot_be_met_says_the_best():
    said = refused("discover", "mitchell6u", "--exact", "--max-products", 3)
    assert "nothing meets the objective; the best surrogate of 3 products leaves" in said
    assert "an exact one has 32 products" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--exact", "--method", "htp"), "exclude each other"),
        (("--exact", "--terms", "3"), "--terms is an option of a method"),
        (("--exact", "--sample", "30"), "--sample is an option of a method"),
        (("--exact", "--factors", "int8"), "--factors is an option of a method"),
        (("--costs", "c.json"), "--costs is for an objective"),
        (("--max-share", "ten"), "share such as 10% or 0.1"),
        (("--max-products", "0"), "positive integer"),
        (("--exact", "--costs", "missing.json"), "No such file"),
        (("--products", "0"), "products must be a positive integer"),
        (("--products", "2", "--factors", "int3"), "factors must be one of"),
        (("--products", "2", "--method", "exact"), "products is an option of method 'lowrank'"),
        (("--front", "-o", "x.json"), "must end in .png, .svg, .pdf"),
        (("-o", "x.svg"), "must end in .json"),
    ],
)
def test_bad_arguments(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused("discover", "mitchell6u", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_products_and_rounded_factors():
    m = multipliers.get("mitchell6u")
    (record,) = as_json("discover", "mitchell6u", "--products", 2)["surrogates"]
    assert same_surrogate(record, surrogate.discover(m, "lowrank", products=2))
    (record,) = as_json("discover", "mitchell6u", "--products", 2, "--factors", "int8")["surrogates"]
    assert same_surrogate(record, surrogate.discover(m, "lowrank", products=2, factors="int8"))


def test_explain_prints_closed_form_and_words(tmp_path):
    expected = surrogate.explain(surrogate.discover(multipliers.get("bam8s_h0v2")))
    data = as_json("discover", "bam8s_h0v2", "--explain", "-o", tmp_path / "s.json")
    (record,) = data["surrogates"]
    assert same_surrogate(record, expected.surrogate)
    assert surrogate.load(tmp_path / "s.json") == expected.surrogate
    assert record["n_bytes"] == (tmp_path / "s.json").stat().st_size
    words = surrogate.export.to_words(expected.surrogate)
    assert record["explanation"] == {"n_factors": 6, "n_named": 6, "words": words}
    text = run("discover", "bam8s_h0v2", "--explain").stdout
    assert words in text
    assert "Formula: a b - (a mod 2) (b mod 4) - 2 bit_1(a) (b mod 2)" in text
    several = run("discover", "bam8s_h0v2", "drum8u_k4", "--explain").stdout
    assert several.splitlines()[-1] == "In closed form: 8 of 8 factors (100 %)"
    noted = run("discover", "mitchell6u", "--products", 2, "--explain")
    assert noted.exit_code == 0
    assert "note: mitchell6u, low rank: factors of floats have no closed form" in noted.stderr


def test_show_in_words_and_in_closed_form(tmp_path):
    path = tmp_path / "s.json"
    found = surrogate.discover(multipliers.get("bam8s_h0v2"))
    surrogate.save(found, path)
    data = as_json("show", path, "--explain", "--words", "--verify", "bam8s_h0v2")
    assert data["formula"] == surrogate.explain(found).surrogate.formula()
    assert data["words"] == surrogate.export.to_words(surrogate.explain(found).surrogate)
    assert data["verification"]["holds"]
    assert "words" not in as_json("show", path)
    assert "the accurate product a b" in run("show", path, "--words").stdout


def test_front_is_the_library_s(tmp_path):
    m = multipliers.get("mitchell6u")
    (data,) = as_json("discover", "mitchell6u", "--front", "--max-share", "10%")["fronts"]
    expected = surrogate.front(m)
    assert data["residuals"] == expected.residuals.tolist()
    assert data["error"] == expected.error
    recipe = surrogate.discover(m, "htp")
    assert data["recipe"] == {
        "products": recipe.n_products,
        "rms_residual": recipe.certificate.rms_residual,
    }
    assert data["chosen"]["products"] == 3
    assert data["chosen"]["rms_residual"] == pytest.approx(expected.residuals[3])
    assert data["fitted_without_distributions"] is None
    only = run("discover", "mitchell6u", "--front").stdout
    assert "Formula" not in only
    rows = [line.split() for line in only.splitlines() if line.strip()[:1].isdigit()]
    assert [int(row[0]) for row in rows] == [*range(9), 10, 12, 15, 16, 20, 24, 31, 32]
    assert rows[-1][1:] == ["0", "0", "%"]
    assert float(rows[3][1]) == pytest.approx(expected.residuals[3], rel=1e-5)


def test_front_under_distributions(tmp_path):
    m, p = multipliers.get("mitchell6u"), np.exp(-np.arange(64) / 6)
    np.save(tmp_path / "p.npy", p)
    arguments = ("discover", "mitchell6u", "--front", "--method", "htp", "--weights-a", tmp_path / "p.npy")
    assert "weights_a is an option of method 'lowrank'" in run(*arguments).stderr
    arguments = ("discover", "mitchell6u", "--front", "--products", 2, "--weights-a", tmp_path / "p.npy")
    (data,) = as_json(*arguments)["fronts"]
    gain = weighting_gain(m, p, None, most=32)
    assert data["residuals"] == surrogate.front(m, p).residuals.tolist()
    assert data["fitted_without_distributions"][:4] == gain.uniform[:4].tolist()
    recipe = rms_residual(surrogate.discover(m, "htp"), m, p)
    assert data["recipe"]["rms_residual"] == recipe
    assert data["chosen"]["rms_residual"] == pytest.approx(data["residuals"][2])
    front = run(*arguments).stdout.partition("Front of")[2]
    row = next(line.split() for line in front.splitlines() if line.split()[:1] == ["2"])
    assert float(row[-1]) == pytest.approx(gain.gains[2], abs=0.01)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_fronts_are_drawn(tmp_path, suffix):
    done = run("discover", "mitchell6u", "--front", "--max-products", 2, "-o", tmp_path / f"front{suffix}")
    assert done.exit_code == 0, done.stderr
    content = (tmp_path / f"front{suffix}").read_bytes()
    magic = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert content.startswith(magic)
    assert [p.name for p in tmp_path.iterdir()] == [f"front{suffix}"]


def test_what_a_picture_shows():
    from catalog.front_plot import Point, front_figure

    curve = surrogate.front(multipliers.get("mitchell8u"))
    recipe, chosen = Point("recipe", 2, 700.0), Point("chosen", 128, 0.0)
    figure = front_figure(curve, recipe=recipe, chosen=chosen, uniform=2 * curve.residuals)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    lines = {line.get_label(): line for line in axes.lines}
    best = lines["best surrogates for them"]
    np.testing.assert_array_equal(best.get_xdata(), np.arange(1, 65))
    np.testing.assert_allclose(best.get_ydata(), 100 * curve.shares[1:65])
    np.testing.assert_allclose(lines["fitted without the distributions"].get_ydata(), 200 * curve.shares[1:65])
    assert lines[f"recipe: {100 * 700 / curve.error:.3g} %"].get_xdata() == [2]
    assert lines["chosen: exact, 128 products"].get_xdata() == [64]
    plain = front_figure(surrogate.front(multipliers.get("exact4u")))
    assert "LSB" in plain.axes[0].get_ylabel()
    assert plain.axes[0].get_xscale() == "linear"


def test_a_folder_takes_surrogates_and_pictures(tmp_path):
    done = run("discover", "udm4u", "trunc4u_t1", "--front", "--exact", "-o", tmp_path)
    assert done.exit_code == 0, done.stderr
    names = {"udm4u.objective.json", "udm4u.front.svg", "trunc4u_t1.objective.json", "trunc4u_t1.front.svg"}
    assert {p.name for p in tmp_path.iterdir()} == names


def test_costs_are_measured_and_read_back(tmp_path):
    path = tmp_path / "costs.json"
    shape = ("--features", 64, "--rows", 64, "--repetitions", 1)
    data = as_json("costs", *shape, "-o", path)
    assert surrogate.CostModel(**data) == surrogate.CostModel.load(path)
    assert "64 x 64" in data["shape"]
    assert json.loads(path.read_text()) == data
    text = run("costs", *shape).stdout
    assert "table, any rank" in text
    assert run("discover", "udm4u", "--exact", "--costs", path).exit_code == 0
    assert "rows must be at least 1" in refused("costs", "--rows", 0)
    assert "unheard" in refused("costs", "--device", "unheard")
    assert "must end in .json" in refused("costs", "-o", tmp_path / "c.txt")
