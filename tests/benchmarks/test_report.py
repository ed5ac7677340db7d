"""The report runs, and does not report times of wrong results."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer

from benchmarks import report
from benchmarks.breakdown import STAGES, breakdown
from benchmarks.layout import as_markdown, verdict
from benchmarks.oracle import InexactError
from benchmarks.rows import ROWS
from benchmarks.timing import Effort, Ratio, interleaved
from benchmarks.workloads import TINY
from surrogate.nn import ApproxConv2d
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.engines.table import TableEngine

ROOT = Path(__file__).resolve().parents[2]
EFFORT = Effort(2, 0.0)


def row(key):
    return next(row for row in ROWS if row.key == key)


def test_the_command(tmp_path):
    command = [sys.executable, "-m", "benchmarks.report", "--quick", "--threads", "1", "--only", "conv64.table.*8s"]
    file = tmp_path / "report.json"
    done = subprocess.run(
        [*command, "--markdown", "--json", file], cwd=ROOT, capture_output=True, text=True, check=True
    )
    header, _, line = done.stdout.strip().splitlines()
    assert header.startswith("| operation | circuit |")
    assert line.startswith("| convolution 3 x 3, 64 channels | mitchell8s, by table |")
    document = json.loads(file.read_text())
    assert document["tiny"]
    (result,) = document["results"]
    assert result["key"] == "conv64.table.mitchell8s"
    assert result["checked"] >= 2 * 2 * 8 * 9 * 9  # both parts, all outputs
    assert set(result["ratios"]["1"]) == {"sums", "whole"}
    assert all(ratio["median"] > 0 for ratio in result["ratios"]["1"].values())


def test_every_row_has_a_name_and_every_bar_of_a_kind_is_there():
    keys = [row.key for row in ROWS]
    assert len(set(keys)) == len(keys)
    kinds = {key.partition(".")[0] for key in keys}
    assert kinds == {"gemm", "conv64", "conv128", "depthwise", "resnet8", "lenet", "gemm16"}


@pytest.mark.parametrize("key", ["resnet8.forward.table.mitchell8u", "lenet.step.rank.bam8s_h0v3"])
def test_networks_are_checked_layer_by_layer(key):
    threads = torch.get_num_threads()
    found = report.measure(row(key), TINY, [1], EFFORT)
    assert torch.get_num_threads() == threads
    layers = 10 if key.startswith("resnet8") else 5
    assert layers * TINY.batch * 10 <= found.checked <= layers * 2000


@pytest.mark.parametrize(
    ("key", "engine"), [("gemm.table.mitchell8s", TableEngine), ("gemm.rank.bam8s_h0v2", SurrogateEngine)]
)
def test_wrong_sums_are_refused(monkeypatch, key, engine):
    right = engine.sums

    def wrong(self, *args):
        found = right(self, *args)
        found[0, 0, 0, 0] += 1
        return found

    monkeypatch.setattr(engine, "sums", wrong)
    with pytest.raises(InexactError, match=f"{key}: 1 of .* outputs compared differ"):
        report.measure(row(key), TINY, [1], EFFORT)


def test_a_wrong_layer_in_a_network_is_refused(monkeypatch):
    right = ApproxConv2d.forward
    monkeypatch.setattr(ApproxConv2d, "forward", lambda self, x: right(self, x).mul(1.001))
    with pytest.raises(InexactError, match=r"resnet8\.step"):
        report.measure(row("resnet8.step.quantised"), TINY, [1], EFFORT)


def test_an_unknown_row_is_refused():
    with pytest.raises(typer.BadParameter, match=r"'gem' matches no row; rows: gemm\.table"):
        report.selected("gem")
    assert [found.key for found in report.selected("gemm16.*udm*, lenet.step.q*")] == [
        "lenet.step.quantised",
        "gemm16.rank.udm16u",
    ]


def test_ratios_are_to_the_run_just_before():
    now, latest = 0.0, 0.01

    def baseline():
        nonlocal now, latest
        latest *= 1.5  # on a machine that slows down
        now += latest

    def twice():
        nonlocal now
        now += 2 * latest

    found = interleaved(baseline, {"twice": twice}, Effort(5, 0.0, lambda: now))
    assert found["twice"].rounds == 5
    assert found["twice"].median == pytest.approx(2)
    assert found["twice"].low == pytest.approx(found["twice"].high)


def result(bar, **ratios):
    found = {part: Ratio(value, value, value, 1.0, 7) for part, value in ratios.items()}
    return report.Result(replace(row("conv64.table.mitchell8u"), bar=bar), {1: found, 2: found}, 9)


def test_verdicts():
    assert verdict(result(2.0, sums=1.0, whole=2.0)) == "met"
    assert verdict(result(2.0, sums=1.0, whole=2.1)) == "sums only"
    assert verdict(result(2.0, sums=2.1, whole=2.2)) == "not met"
    assert verdict(result(2.0, whole=2.2)) == "not met"
    assert verdict(result(None, whole=2.2)) == ""
    assert (
        as_markdown([result(2.0, sums=1.0, whole=2.126)], [1, 2])
        .splitlines()[-1]
        .endswith("| 34 to 53 | 2 | 1.00 | 2.13 | 1.00 | 2.13 | sums only |")
    )


@pytest.mark.parametrize("key", ["conv64.table.mitchell8s", "lenet.step.rank.bam8s_h0v3"])
def test_the_breakdown_names_the_stages(key):
    found = breakdown(key, row(key).build(TINY))
    names = list(found.columns[0].cells)
    assert len(names) == len(set(names)) > 3
    assert any(name.partition(".")[0] in {stage.__name__ for stage, _ in STAGES} for name in names)
