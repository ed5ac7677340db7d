"""``axsurrogate catalog list, search, pareto`` and ``show``, over the catalog and a library."""

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import catalog
from catalog.cli.app import app
from catalog.library import Figure, Library, Source
from catalog.library.measuring import Task, measure
from catalog.quantities import METRICS
from multipliers import get

TASK = Task((), "test", "sampled", 1 << 12)
COLUMNS = ("name", "origin", "family", "a", "b", "comparison", *METRICS)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def no_library_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("AXSURROGATE_LIBRARY", str(tmp_path / "none.sqlite"))


def source(name, release, **about):
    return Source(Path("/circuits") / release / f"{name}.c", "c", release, name, "0" * 64, **about)


@pytest.fixture
def library(tmp_path):
    """Three circuits whose figures and costs a header gives; one name that is also an entry of the catalog's kind."""
    path = tmp_path / "mine.sqlite"
    rows = [("mul8u_AAA", "udm8u", "0.30"), ("mul8u_BBB", "bam8u_h0v6", "0.20"), ("mul8u_CCC", "drum8u_k4", "0.25")]
    with Library(path, create=True) as opened:
        for name, label, power in rows:
            figures = (Figure("PDK45_PWR", power, "mW"), Figure("EP%", "46.73", "%"))
            opened.add(measure(get(label), TASK), [source(name, "evo@v1", figures=figures)])
    return path


def test_search_filters_and_sorts():
    found = run("catalog", "search", "--bits", 8, "--unsigned", "--max", "mre=4%", "--sort", "mre", "--json")
    rows = json.loads(found.stdout)
    expected = catalog.search(bits=8, signed=False, maximum={"mre": 0.04}, sort="mre")
    assert [row["name"] for row in rows] == [c.name for c in expected]
    assert len(rows) > 5
    assert rows[0]["mre"] == 0
    assert all(row["a"] == row["b"] == "8u" and row["mre"] <= 0.04 for row in rows)
    text = run("catalog", "search", "--bits", 8, "--unsigned", "--max", "mre=4%", "--sort", "mre").stdout
    lines = text.splitlines()
    assert lines[0].split()[:3] == ["name", "operands", "pairs"]
    assert [line.split()[0] for line in lines[2:]] == [c.name for c in expected]


def test_columns_are_the_usual_ones_with_those_asked_for():
    head = run("catalog", "search", "--family", "udm", "--sort", "mae", "--min", "terms=2").stdout.splitlines()[0]
    assert "mre" in head
    assert "mae (LSB)" in head
    assert "power" not in head
    chosen = run("catalog", "search", "--family", "udm", "--columns", "rmse,EP", "--limit", 1).stdout.splitlines()
    assert chosen[0].split("pairs")[1].split() == ["rmse", "(LSB)", "error_probability"]
    assert len(chosen) == 3


def test_comma_separated_values_hold_what_json_does():
    arguments = ("catalog", "search", "--family", "drum", "--a", "16u", "--b", "16u")
    rows = json.loads(run(*arguments, "--json").stdout)
    read = list(csv.DictReader(io.StringIO(run(*arguments, "--csv").stdout)))
    assert [row["name"] for row in read] == [row["name"] for row in rows]
    assert set(COLUMNS) < set(read[0])
    assert float(read[0]["mre"]) == rows[0]["mre"]
    assert read[0]["power"] == ""
    assert rows[0]["power"] is None
    assert run(*arguments, "--csv", "--json").exit_code == 2


def test_empty_result_says_which_filter_removed_the_last():
    found = run("catalog", "search", "--family", "drum", "--max", "mre=0.1%", "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout) == []
    assert found.stderr.startswith("no circuit is left: 'mre at most 0.001' removed the last 10 circuits: mre is 0.00")
    assert run("catalog", "search", "--family", "drum", "--max", "mre=0.1%").stdout == ""
    costs = run("catalog", "pareto", "mre", "gates")
    assert (costs.exit_code, costs.stdout) == (0, "")
    assert "none has both gates and mre" in costs.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search", "--max", "mer=1"), "unknown metric or cost 'mer'; did you mean"),
        (("search", "--sort", "powr"), "did you mean 'power'"),
        (("search", "--max", "mre"), "--max mre: write NAME=VALUE, such as --max mre=2%"),
        (("search", "--min", "mre=1", "--min", "mre=2"), "--min gives mre twice"),
        (("search", "--max", "mae=2%"), "'%' is no unit of it"),
        (("search", "--family", "drumm"), "did you mean 'drum'"),
        (("search", "--limit", 0), "limit must be"),
        (("search", "--columns", "mre,nosuch"), "unknown metric or cost 'nosuch'"),
        (("pareto", "mre", "pwer"), "did you mean 'power'"),
        (("pareto", "mre", "mred"), "mre and mred are the same quantity"),
        (("pareto", "mre", "terms", "-o", "front.gif"), "must end in .png, .svg, .pdf, .json, .csv"),
        (("pareto", "mre", "terms", "-o", "nowhere/front.png"), "there is no folder 'nowhere'"),
        (("search", "--library", "nowhere.sqlite"), "nowhere.sqlite"),
        (("show", "mul8u_AAAA"), "unknown catalog entry 'mul8u_AAAA'"),
    ],
)
def test_mistakes_are_one_line_on_stderr(arguments, said):
    done = run("catalog", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_library_adds_its_circuits_and_their_costs(library, monkeypatch):
    rows = json.loads(run("catalog", "search", "--library", library, "--bits", 8, "--json").stdout)
    assert {row["name"] for row in rows if row["origin"] == "evo@v1"} == {"mul8u_AAA", "mul8u_BBB", "mul8u_CCC"}
    assert len(rows) == 3 + len(catalog.search(bits=8))
    text = run("catalog", "search", "--library", library, "--name", "mul8u", "--max", "power=250uW").stdout
    assert "power (mW)" in text.splitlines()[0]
    assert [line.split()[0] for line in text.splitlines()[2:]] == ["mul8u_BBB", "mul8u_CCC"]
    monkeypatch.setenv("AXSURROGATE_LIBRARY", str(library))
    by_default = json.loads(run("catalog", "search", "--origin", "evo*", "--json").stdout)
    assert [row["name"] for row in by_default] == ["mul8u_AAA", "mul8u_BBB", "mul8u_CCC"]
    assert "evo@v1\n" in run("catalog", "list").stdout
    assert len(json.loads(run("catalog", "list", "--family", by_default[0]["family"], "--json").stdout)) == 3


def names(done):
    return [line.split()[0] for line in done.stdout.splitlines()[3:]]


def test_front_is_printed_and_marked_among_the_others(library):
    arguments = ("catalog", "pareto", "wce", "power", "--library", library, "--origin", "evo*")
    assert names(run(*arguments)) == ["mul8u_BBB"]  # least power, least error
    assert names(run("catalog", "pareto", "ep", *arguments[3:])) == ["mul8u_BBB", "mul8u_AAA"]
    assert names(run("catalog", "pareto", "mre", "wce", *arguments[4:6], "--a", "8u")) == ["exact8u", "exact8x6u"]
    everything = run(*arguments, "--all").stdout.splitlines()
    assert everything[0] == "Pareto front of wce and power: 1 of 3 circuits"
    assert [line.split()[0] == "*" for line in everything[3:]] == [True, False, False]
    rows = json.loads(run(*arguments, "--all", "--json").stdout)
    assert [(row["name"], row["on_front"]) for row in rows] == [
        ("mul8u_BBB", True),
        ("mul8u_CCC", False),
        ("mul8u_AAA", False),
    ]


def test_comparisons_across_formats_and_libraries_are_remarked_on(library):
    assert "operand formats are compared; --a 8u --b 8u" in run("catalog", "pareto", "mre", "terms").stderr
    assert run("catalog", "pareto", "mre", "terms", "--a", "8u", "--b", "8u").stderr == ""
    with Library(library) as opened:
        figures = (Figure("PDK45_PWR", "0.1", "mW"),)
        opened.add(measure(get("udm8u"), TASK), [source("mul8u_X", "other", figures=figures)])
    said = run("catalog", "pareto", "mre", "power", "--library", library).stderr
    assert "power of 3 libraries are compared" in said
    assert "--origin keeps one" in said
    assert run("catalog", "pareto", "mre", "power", "--library", library, "--origin", "evo").stderr == ""


def test_front_is_written_as_pictures_and_data(tmp_path, library):
    files = [tmp_path / f"front{suffix}" for suffix in (".png", ".svg", ".pdf", ".json", ".csv")]
    options = [option for file in files for option in ("-o", file)]
    done = run("catalog", "pareto", "mre", "terms", "--a", "8u", "--b", "8u", "--min", "terms=2", *options)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("wrote ") == 5
    png, svg, pdf = (file.read_bytes() for file in files[:3])
    assert (png[:4], pdf[:5]) == (b"\x89PNG", b"%PDF-")
    data = json.loads(files[3].read_text())
    assert (data["metric"], data["cost"]) == ("mre", "terms")
    front = {row["name"] for row in data["circuits"] if row["on_front"]}
    chosen = catalog.search(a="8u", b="8u", minimum={"terms": 2})
    assert front == {c.name for c in catalog.pareto_front(chosen, "mre", "terms")}
    assert len(data["circuits"]) == len(chosen)
    assert b"ordinary products" in svg or b"<use" in svg
    marks = [row["on_front"] for row in csv.DictReader(io.StringIO(files[4].read_text()))]
    assert marks.count("True") == len(front)


def test_show_has_measurement_and_verdicts():
    text = run("catalog", "show", "drum16u_k6").stdout
    assert "Measured on 4,194,304 pairs drawn at random" in text
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line.startswith(" mre ")}
    assert lines["mre"][1:] == ["1.47", "1.46814", "reproduced", "%", "[1]"]
    shown = json.loads(run("catalog", "show", "udm8u", "--json").stdout)
    assert shown["measured"]["product_rank"] == 2
    assert shown["measured"]["metrics"]["comparison"] == "exhaustive"
    floating = run("catalog", "show", "e8m7_mitchell8u").stdout
    assert "relative_sd" in floating
    assert "wce" not in floating
    assert (
        json.loads(run("catalog", "show", "e8m7_mitchell8u", "--json").stdout)["measured"]["float_metrics"]["mre"] > 0
    )
    family = json.loads(run("catalog", "show", "mitchell", "--json").stdout)
    assert {"mitchell8u", "e8m7_mitchell8u"} < {item["label"] for item in family}


def test_show_of_a_circuit_of_the_library(library):
    for name in ("mul8u_AAA", "evo@v1/mul8u_AAA", get("udm8u").fingerprint()[:10]):
        shown = json.loads(run("catalog", "show", name, "--library", library, "--json").stdout)
        assert (shown["name"], shown["power"], shown["published_error_probability"]) == ("mul8u_AAA", 0.3, 0.4673)
        assert shown["sources"][0]["path"] == "/circuits/evo@v1/mul8u_AAA.c"
    text = run("catalog", "show", "mul8u_AAA", "--library", library).stdout
    row = next(line for line in text.splitlines() if line.split()[:1] == ["error_probability"])
    assert row.split()[1:] == ["0.4673", "0.4673"]
    assert "0.3  mW" in text
    wrong = run("catalog", "show", "mul8u_AAB", "--library", library)
    assert "did you mean 'mul8u_AAA'" in wrong.stderr


def test_names_of_a_hostile_library_cannot_steer_the_terminal(tmp_path):
    path = tmp_path / "bad.sqlite"
    with Library(path, create=True) as opened:
        opened.add(measure(get("udm8u"), TASK), [source("mul8u_\x1b[31m", "r\x1b[2J")])
    for arguments in (("list",), ("search",), ("pareto", "mre", "wce", "--all"), ("show", "mul8u_\x1b[31m")):
        done = run("catalog", *arguments, "--library", path)
        assert done.exit_code == 0, done.stderr
        assert "mul8u_" in done.stdout
        assert "\x1b" not in done.stdout
