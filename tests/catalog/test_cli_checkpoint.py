"""Interrupted discoveries by the command line, and the widths of factors that it shows."""

import json

import pytest
from typer.testing import CliRunner

import multipliers
import surrogate
from catalog.cli.app import app
from surrogate.arithmetic import FactorReport


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_an_interrupted_discovery_goes_on(tmp_path):
    m, path, done = multipliers.get("trunc11u_t5"), tmp_path / "c.json", []

    def stop(pairs, _):
        done.append(pairs)
        if len(done) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        surrogate.discover(m, progress=stop, checkpoint=path)
    assert path.exists()
    other = run("discover", "udm10u", "--checkpoint", path)
    assert other.exit_code == 2
    assert "belongs to the multiplier 'trunc11u_t5'" in other.stderr
    assert len(other.stderr.splitlines()) == 1
    found = run("discover", "trunc11u_t5", "--checkpoint", path, "--every-pair", "--json")
    assert found.exit_code == 0
    (record,) = json.loads(found.stdout)["surrogates"]
    assert record["certificate"] == surrogate.discover(m).certificate.to_dict()
    assert not path.exists()


@pytest.mark.parametrize(
    "arguments", [("udm6u", "trunc6u_t2"), ("udm6u", "--method", "all"), ("udm6u", "--exact"), ("--all", "family=udm")]
)
def test_a_checkpoint_is_for_one_comparison(tmp_path, arguments):
    refused = run("discover", *arguments, "--checkpoint", tmp_path / "c.json")
    assert (refused.exit_code, refused.stdout, len(refused.stderr.splitlines())) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


def test_widths_of_factors_are_shown():
    s = surrogate.discover(multipliers.get("bam8s_h0v4"))
    report = FactorReport.of(s.factors())
    (record,) = json.loads(run("discover", "bam8s_h0v4", "--json").stdout)["surrogates"]
    assert record["factors"] == report.to_dict()
    rows = {line[:26].strip(): line[26:].strip() for line in run("discover", "bam8s_h0v4").stdout.splitlines()}
    assert rows["factors of a"].split() == list(map(str, report.a))
    assert rows["factors of b"].split() == list(map(str, report.b))
    assert rows["narrowest datatype"] == "int8"
    floats = json.loads(run("discover", "mitchell6u", "--method", "lowrank", "--json").stdout)["surrogates"]
    assert floats[0]["factors"] is None
