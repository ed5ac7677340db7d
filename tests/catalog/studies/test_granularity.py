"""Weights of few bits keep more accuracy with a scale for each channel; the study says so."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from catalog.cli.app import app
from catalog.studies.granularity import weight_granularity
from catalog.studies.retraining import Stages
from catalog.studies.study import Study
from multipliers import get
from surrogate.nn.training import Images, Recipe


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 160, (320, 8, 8)), np.arange(320) % 4
    x[np.arange(320), 2 * y, :] = 255
    return Images.from_arrays(x[:240], y[:240], x[240:], y[240:])


STAGES = Stages(Recipe(4, 0.05, batch_size=16), *[Recipe(1, 0.005, batch_size=16, steps_per_epoch=2)] * 2)


def test_a_scale_for_each_channel_keeps_more(images, tmp_path):
    study = Study.open(tmp_path, "granularity", STAGES.settings())
    multipliers = [get("exact8x2u"), get("exact8u")]
    found = weight_granularity(study, multipliers, "lenet5", images, STAGES, seeds=(0, 1, 2))
    assert len(found.rows) == 2 * 3 * 2
    two, eight = found.summary
    assert (two["weight_bits"], two["multipliers"], two["seeds"]) == (2, 1, 3)
    tensor = sorted(row["accuracy"] for row in found.rows if (row["weight_bits"], row["granularity"]) == (2, "tensor"))
    assert two["per_tensor"] == tensor[1]
    assert two["gain"] == pytest.approx(100 * (two["per_channel"] - two["per_tensor"]))
    assert two["per_channel"] > two["per_tensor"]
    assert eight["per_tensor"] > two["per_tensor"]
    assert abs(eight["gain"]) < two["gain"]
    again = weight_granularity(
        study, multipliers, "lenet5", images, STAGES, seeds=(0, 1, 2), told=lambda *_: pytest.fail("trained again")
    )
    assert again == found


def test_the_command_writes_tables_and_a_picture(tmp_path):
    few = ["--epochs", "1", "--quantised-epochs", "1", "--train-images", "64", "--test-images", "40"]
    done = CliRunner().invoke(app, ["study", "granularity", *few, "-m", "exact8x4u", "--json", "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert [row["granularity"] for row in printed["rows"]] == ["tensor", "channel"]
    assert json.loads((tmp_path / "summary.json").read_text())["rows"] == printed["summary"]
    assert (tmp_path / "granularity.png").read_bytes().startswith(b"\x89PNG")
