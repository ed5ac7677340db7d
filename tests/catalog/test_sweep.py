"""Sweeps: what each circuit gets, in parallel, stored, resumed, and what fails skipped."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import catalog
import catalog.sweep
import multipliers
import surrogate
from catalog.cli.app import app
from catalog.cli.errors import CommandError
from catalog.cli.sweep import parse_query
from catalog.library import Library, Source
from catalog.library.measuring import Task, measure
from catalog.plot import sweep_figure
from catalog.query import Query
from catalog.results import Discovered, Key, Results, ResultsError
from catalog.sweep import SweepError, asked_for, sweep
from multipliers.errors import ParameterError, UnknownNameError
from multipliers.function import CallableMultiplier
from multipliers.operands import OperandFormat
from multipliers.table import TableMultiplier
from surrogate import FitError, Objective
from surrogate.certificate import Certificate
from tests.pages import run_page

LABELS = ["trunc8u_t2", "bam8s_h0v2", "udm8u", "mitchell6u"]
FOUR = OperandFormat(4)


@pytest.fixture(autouse=True)
def no_library_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("AXSURROGATE_LIBRARY", str(tmp_path / "home" / "library.sqlite"))


def random_multiplier(seed):
    """An asymmetric random table whose product of zeros is not 0."""
    rng = np.random.default_rng(seed)
    return TableMultiplier(rng.integers(1, 200, (16, 16)), FOUR, FOUR, name=f"random{seed}")


def raising(a, b):
    raise RuntimeError("the simulator has crashed")


def killed(a, b):
    os.kill(os.getpid(), signal.SIGKILL)


def bad_multiplier(function):
    """A multiplier whose table is asked for after its fingerprint is known."""
    bad = CallableMultiplier(function, FOUR, FOUR, vectorised=True, name=function.__name__)
    object.__setattr__(bad, "fingerprint", lambda: "0" * 64)
    return bad


@pytest.fixture
def counted(monkeypatch):
    """Names of the multipliers whose surrogates are sought in this process."""
    names, original = [], surrogate.discover

    @functools.wraps(original)
    def discover(multiplier, **options):
        names.append(multiplier.name)
        return original(multiplier, **options)

    monkeypatch.setattr(sys.modules["catalog.sweep"], "discover", discover)
    return names


@pytest.mark.parametrize("backend", ["loky", "threading", "sequential"])
def test_each_circuit_gets_what_discover_finds(backend):
    told = []
    done = sweep(LABELS, backend=backend, jobs=2, told=lambda n, of, outcome: told.append((n, of, outcome.name)))
    assert [outcome.name for outcome in done.outcomes] == LABELS
    for label, found in zip(LABELS, done.found, strict=True):
        assert found.surrogate == surrogate.discover(multipliers.get(label))
        assert (found.is_exact, found.n_products) == (True, found.surrogate.n_products)
        assert found.certificate == found.surrogate.certificate
    assert [(n, of) for n, of, _ in told] == [(n, 4) for n in (1, 2, 3, 4)]
    assert {name for *_, name in told} == set(LABELS)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning:distributed")
def test_dask_cluster_gives_the_same(tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs axsurrogate[dask]")
    circuits = [*LABELS, random_multiplier(1)]
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        done = sweep(circuits, backend="dask", store=tmp_path / "found.jsonl")
    assert [each.surrogate for each in done.found] == [each.surrogate for each in sweep(circuits, jobs=1).found]
    assert set(Results(tmp_path / "found.jsonl").read()) == {each.key for each in done.found}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning:distributed")
def test_examples_of_the_page_run(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="needs axsurrogate[dask]")
    monkeypatch.chdir(tmp_path)
    run_page("how-to/sweeps.md")


def test_backend_of_the_surrounding_joblib_is_taken():
    import joblib

    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert len(sweep(LABELS, backend=None).found) == 4


def test_what_is_stored_is_not_done_again(tmp_path, counted):
    store = tmp_path / "new" / "found.jsonl"
    sweep(LABELS[:2], jobs=1, store=store)
    done = sweep(LABELS, jobs=1, store=store)
    assert counted == LABELS
    assert [outcome.is_new for outcome in done.outcomes] == [False, False, True, True]
    assert [each.surrogate for each in done.found] == [surrogate.discover(multipliers.get(label)) for label in LABELS]
    sweep(LABELS, "lowrank", products=2, jobs=1, store=store)  # something else is asked for
    assert counted == LABELS * 2
    summary = done.summary()
    assert (summary["circuits"], summary["new"], summary["failed"], summary["exact"]) == (4, 2, 0, 4)
    assert summary["worst_products"] == max(each.n_products for each in done.found)
    assert summary["median_rms_residual"] == 0


def test_interruption_loses_only_what_is_at_work(tmp_path, counted):
    store, seen = tmp_path / "found.jsonl", []

    def told(done, in_all, outcome):
        seen.append(outcome.name)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(LABELS, jobs=1, store=store, told=told)
    assert seen == LABELS[:2]
    assert [each.name for each in Results(store).read().values()] == LABELS[:2]
    done = sweep(LABELS, jobs=1, store=store)
    assert counted == LABELS
    assert [outcome.is_new for outcome in done.outcomes] == [False, False, True, True]


@pytest.mark.parametrize("jobs", [1, 2])
def test_failing_circuit_is_told_and_skipped(tmp_path, jobs):
    circuits = ["udm8u", bad_multiplier(raising), random_multiplier(2)]
    store = tmp_path / "found.jsonl"
    done = sweep(circuits, jobs=jobs, backend="threading", store=store)
    assert [outcome.found is None for outcome in done.outcomes] == [False, True, False]
    assert "the simulator has crashed" in done.failures[0].error
    assert done.summary()["failed"] == 1
    assert len(Results(store).read()) == 2
    assert sweep(circuits, jobs=1, store=store).failures[0].name == "raising"  # tried again: a failure is not kept


def test_killed_process_is_told_and_results_are_kept(tmp_path):
    store = tmp_path / "found.jsonl"
    sweep(LABELS[:1], jobs=1, store=store)
    with pytest.raises(SweepError, match="a process was killed, perhaps because memory ran out"):
        sweep([*LABELS[:1], bad_multiplier(killed), random_multiplier(3)], jobs=2, store=store)
    assert LABELS[0] in {each.name for each in Results(store).read().values()}


def test_same_products_are_done_once(counted):
    twin = replace(random_multiplier(4), name="twin")
    done = sweep([random_multiplier(4), twin, random_multiplier(5)], jobs=1)
    assert counted == ["random4", "random5"]
    assert [outcome.name for outcome in done.outcomes] == ["random4", "twin", "random5"]
    assert [outcome.is_new for outcome in done.outcomes] == [True, False, True]
    assert done.found[0] is done.found[1]


def test_circuit_that_is_not_what_its_fingerprint_says_is_refused():
    circuit = catalog.search(name="udm8u")[0]
    done = sweep([replace(circuit, fingerprint="1" * 64)], jobs=1)
    assert "udm8u multiplies otherwise than its fingerprint 111111111111... says" in done.failures[0].error


def test_circuits_of_a_library(tmp_path):
    path, task = tmp_path / "mine.sqlite", Task((), "test", "sampled", 1 << 12)
    with Library(path, create=True) as library:
        for name, label in (("mul8u_A", "udm8u"), ("mul8u_B", "bam8u_h0v6")):
            source = Source(Path("/circuits") / f"{name}.c", "c", "mine", name, "0" * 64)
            library.add(measure(multipliers.get(label), task), [source])
        circuits = library.circuits()
    done = sweep(circuits, jobs=2, library=path)
    assert [(each.name, each.n_products) for each in done.found] == [("mul8u_A", 2), ("mul8u_B", 7)]
    store = tmp_path / "home" / "surrogates.jsonl"
    ran = run("sweep", "--library", path, "--origin", "mine", "--jobs", 1)
    assert ran.exit_code == 0, ran.stderr
    assert {each.name for each in Results(store).read().values()} == {"mul8u_A", "mul8u_B"}
    again = sweep(["udm8u"], jobs=1, store=store)  # the same products, by whatever name
    assert not again.outcomes[0].is_new


def test_objectives_and_distributions_are_told_apart():
    uniform, other = np.ones(16), np.arange(1.0, 17.0)
    asked = [
        asked_for(None, None, {}),
        asked_for("lowrank", None, {"products": 2}),
        asked_for("lowrank", None, {"products": 2, "weights_a": uniform}),
        asked_for("lowrank", None, {"products": 2, "weights_a": other}),
        asked_for(None, Objective(exact=True), {}),
        asked_for(None, Objective(max_share=0.1), {}),
    ]
    assert len(set(asked)) == len(asked)
    assert asked_for("exact", None, {"every_pair": False, "weights_a": None}) == asked[0]
    assert asked_for("lowrank", None, {"weights_a": uniform.tolist(), "products": 2}) == asked_for(
        "lowrank", None, {"products": 2, "weights_a": [1.0] * 16}
    )
    done = sweep(["mitchell6u"], objective=Objective(max_share=0.2), weights_a=np.arange(64), jobs=1)
    expected = surrogate.discover(
        multipliers.get("mitchell6u"), objective=Objective(max_share=0.2), weights_a=np.arange(64)
    )
    assert done.found[0].surrogate == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "magic"}, FitError, "unknown method 'magic'; choose one of 'exact'"),
        ({"prodcts": 3}, FitError, "unknown option 'prodcts'; surrogate.discover has .*products"),
        ({"checkpoint": "x"}, FitError, "unknown option 'checkpoint'"),
        ({"jobs": 0}, ParameterError, "jobs must be an integer from 1, got 0"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(arguments, error, message, counted):
    with pytest.raises(error, match=message):
        sweep(LABELS, **arguments)
    with pytest.raises(UnknownNameError, match="nosuch8u"):
        sweep([*LABELS, "nosuch8u"])
    assert counted == []


def test_no_circuits():
    done = sweep([])
    assert (done.outcomes, done.summary()["found"], done.summary()["median_time_s"]) == ((), 0, None)


# The file of results.


@pytest.fixture
def results(tmp_path):
    """A file with two results."""
    found = Results(tmp_path / "found.jsonl")
    sweep(LABELS[:2], jobs=1, store=found)
    return found


def test_line_that_was_cut_off_is_dropped_and_mended(results):
    whole = results.path.read_bytes()
    for length in (len(whole) - 1, len(whole) - 300):
        results.path.write_bytes(whole[:length])
        assert [each.name for each in results.read().values()] == LABELS[:1]
    done = sweep(LABELS, jobs=1, store=results.path)
    assert [outcome.is_new for outcome in done.outcomes] == [False, True, True, True]
    assert len(results.path.read_bytes().splitlines()) == 5
    assert len(results.read()) == 4
    results.path.write_bytes(whole[:20])  # not even the head is whole
    assert results.read() == {}
    assert len(sweep(LABELS[:1], jobs=1, store=results.path).found) == len(results.read()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"a,b\n1,2\n", "holds no results of sweeps; move it away"),
        (lambda data: b"some text", "holds no results of sweeps"),
        (lambda data: b"[1]\n", "holds no results of sweeps"),
        (lambda data: data.replace(b'"version": 1', b'"version": 2', 1), "has version 2, this axsurrogate reads 1"),
        (lambda data: data.replace(b'"n_terms"', b'"n_tarms"', 1), "line 2 is damaged"),
        (lambda data: data.replace(b'"n_pairs": 65536', b'"n_pairs": -1', 1), "line 2 is damaged .*n_pairs"),
    ],
)
def test_other_and_damaged_files_are_refused_and_not_touched(results, change, message):
    damaged = change(results.path.read_bytes())
    results.path.write_bytes(damaged)
    with pytest.raises(ResultsError, match=message):
        sweep(LABELS, jobs=1, store=results.path)
    assert results.path.read_bytes() == damaged


def test_last_line_of_a_key_counts(results):
    first = next(iter(results.read().values()))
    results.add(replace(first, time_s=99.0))
    assert results.read()[first.key].time_s == 99.0
    assert len(results.read()) == 2


def test_writers_side_by_side_lose_nothing(tmp_path):
    path = tmp_path / "found.jsonl"
    one, other = Results(path), Results(path)
    found = sweep(LABELS, jobs=1).found
    for i, each in enumerate(found):
        (one if i % 2 else other).add(each)
    assert list(one.read().values()) == list(found)


def test_surrogate_without_certificate_is_not_stored():
    bare = surrogate.discover(multipliers.get("exact4u")).with_certificate(None)
    key = Key(bare.multiplier.fingerprint, bare.a, bare.b, "exact")
    with pytest.raises(surrogate.SurrogateError, match="has no certificate; certify it first"):
        Discovered.of(bare, key, 0.0)


# Pictures.


def test_picture_of_exact_ones_shows_the_error_of_the_circuits():
    axes = sweep_figure(sweep(catalog.search(bits=8, family="bam"), jobs=1)).axes[0]
    assert "NMED" in axes.get_ylabel()
    points = sorted(map(tuple, np.vstack([each.get_offsets() for each in axes.collections])))
    circuits = catalog.search(bits=8, family="bam")
    assert points == sorted((c.costs["terms"], c.metrics["nmed"]) for c in circuits)


def test_picture_of_others_shows_their_residual():
    done = sweep([random_multiplier(6), "mitchell6u"], "lowrank", products=2, jobs=1)
    axes = sweep_figure(done).axes[0]
    assert axes.get_ylabel() == "RMS residual of the surrogate (LSB)"
    points = sorted(map(tuple, np.vstack([each.get_offsets() for each in axes.collections])))
    assert points == sorted((each.n_products, each.certificate.rms_residual) for each in done.found)
    with pytest.raises(ParameterError, match="nothing to draw"):
        sweep_figure(sweep([random_multiplier(6)], jobs=1))  # exact, and the error of the circuit is not known


# The command line.


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_discover_all_tells_each_circuit_keeps_results_and_sums_up(tmp_path):
    picture = tmp_path / "front.svg"
    done = run("discover", "--all", "bits=8 signed family=bam", "-o", picture)
    assert done.exit_code == 0, done.stderr
    circuits = catalog.search(bits=8, signed=True, family="bam")
    lines = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert {line.split()[1] for line in lines} == {f"{c.name}:" for c in circuits}
    assert all("exact" in line and "done before" not in line for line in lines)
    assert f"Surrogates: {len(circuits)} of {len(circuits)} circuits, {len(circuits)} exact" in done.stdout
    assert "median" in done.stdout
    assert picture.read_text().startswith("<?xml")
    again = run("sweep", "--bits", 8, "--signed", "--family", "bam", "--json")
    assert again.stderr.count("done before") == len(circuits)
    data = json.loads(again.stdout)
    assert (data["summary"]["new"], data["failures"]) == (0, [])
    assert [row["name"] for row in data["circuits"]] == [c.name for c in circuits]
    assert [row["n_products"] for row in data["circuits"]] == [c.costs["terms"] for c in circuits]
    stored = Results(data["store"]).read().values()
    assert {each.name for each in stored} == {c.name for c in circuits}


def test_sweep_with_products_and_objective(tmp_path):
    store = tmp_path / "found.jsonl"
    rows = run("sweep", "--name", "mitchell8?", "--products", 2, "--store", store, "--jobs", 1, "--csv").stdout
    assert rows.splitlines()[0].startswith("name,origin,a,b,fingerprint,n_terms,n_products,is_exact")
    assert [line.split(",")[6] for line in rows.splitlines()[1:]] == ["2", "2"]
    done = run("sweep", "--name", "trunc8*", "--exact", "--store", store, "--backend", "threading", "--json")
    assert json.loads(done.stdout)["summary"]["worst_products"] == 1
    asked = {json.loads(key.asked).get("method", "objective") for key in Results(store).read()}
    assert asked == {"lowrank", "objective"}


@pytest.mark.slow
def test_sweep_on_a_dask_cluster_of_the_command(tmp_path):
    pytest.importorskip("distributed", reason="needs axsurrogate[dask]")
    command = [sys.executable, "-m", "catalog.cli", "sweep", "--family", "udm", "--bits", "8", "--backend", "dask"]
    done = subprocess.run(
        [*command, "--jobs", "1", "--store", str(tmp_path / "x.jsonl"), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["summary"]["exact"] == 2


def test_interrupted_command_resumes(tmp_path):
    """Ctrl-C in the middle: exit code 130, no traceback, and the next run does the rest only."""
    store = tmp_path / "found.jsonl"
    command = [sys.executable, "-m", "catalog.cli", "sweep", "--bits", "8", "--unsigned", "--max", "terms=2"]
    command += ["--jobs", "2", "--store", str(store), "--json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in a shell's background jobs
    )
    limit = time.monotonic() + 60
    # both workers are at work by then: one that is interrupted while it starts says so on its own
    while (not store.exists() or store.read_bytes().count(b"\n") < 10) and time.monotonic() < limit:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: the workers get it as well
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert told.rstrip().endswith("interrupted")
    assert "Traceback" not in told
    kept = len(Results(store).read())
    assert kept >= 9
    data = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    summary = data["summary"]
    assert summary["new"] <= summary["found"] - kept
    assert summary["found"] == summary["circuits"] == summary["exact"] > kept


def test_failures_give_exit_code_2(monkeypatch, tmp_path):
    def discover(multiplier, **options):
        raise FitError("no such surrogate exists")

    monkeypatch.setattr(sys.modules["catalog.sweep"], "discover", discover)
    done = run("sweep", "--name", "udm8u", "--jobs", 1, "--json")
    assert done.exit_code == 2
    assert done.stderr == "error: udm8u: no such surrogate exists\n"
    assert json.loads(done.stdout)["failures"] == [{"name": "udm8u", "error": "no such surrogate exists"}]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("all", Query()),
        ("bits=8 unsigned family=drum mre<=2%", Query(bits=8, signed=False, family="drum", maximum={"mre": "2%"})),
        ("a=8u b=6u terms>=2", Query(a="8u", b="6u", minimum={"terms": "2"})),
        ("origin=catalog name=mul*", Query(origin="catalog", name="mul*")),
    ],
)
def test_query_of_words(text, query):
    assert parse_query(text) == query


@pytest.mark.parametrize("text", ["drum", "bits=x", "bits=", "colour=red", "<=2%"])
def test_word_that_is_no_filter_is_told(text):
    with pytest.raises(CommandError, match=text):
        parse_query(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("discover",), "give a SPEC, or --all with a query"),
        (("discover", "udm8u", "--all", "all"), "with no SPEC"),
        (("discover", "--all", "all", "--method", "all"), "--all goes with"),
        (("sweep", "--json", "--csv"), "exclude each other"),
        (("sweep", "--backend", "grid"), "unknown backend 'grid'; choose one of loky"),
        (("sweep", "--scheduler", "tcp://x:1"), "--scheduler is for --backend dask"),
        (("sweep", "-o", "front.txt"), "the name must end in .png"),
        (("sweep", "--name", "udm8u", "--jobs", 0), "jobs must be an integer from 1"),
        (("sweep", "--family", "nosuch"), "unknown family 'nosuch'"),
    ],
)
def test_bad_arguments_of_commands(arguments, message):
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_query_that_finds_nothing_says_why():
    done = run("discover", "--all", "bits=8 family=drum mre<=0.001%")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no circuit is left: 'mre at most" in done.stderr


def test_shipped_surrogate_is_shown_and_exported_by_name():
    data = json.loads(run("show", "mitchell8u.p4", "--verify", "mitchell8u", "--json").stdout)
    assert (data["n_products"], data["verification"]["holds"]) == (4, True)
    assert data["certificate"] == catalog.surrogate("mitchell8u.p4").certificate.to_dict()
    done = run("show", "mitchell8u", "--verify", "udm8u")
    assert done.exit_code == 1
    assert "stands for 'mitchell8u'" in done.stderr
    assert "drum" in run("show", "drum8u_k4").stdout
    written = run("export", "drum8u_k4", "--to", "python").stdout
    assert "def " in written
    assert run("show", "nosuch8u").exit_code == 2
    assert isinstance(catalog.surrogate("drum8u_k4").certificate, Certificate)
