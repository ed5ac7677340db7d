"""Networks that studies start from are trained once, and an interrupted training goes on."""

import numpy as np
import pytest
import torch

from catalog.studies.baseline import trained_network
from catalog.studies.study import Study
from surrogate.nn.errors import NetworkError
from surrogate.nn.training import CheckpointError, Images, Recipe, Training

RECIPE = Recipe(3, 0.05, batch_size=32, steps_per_epoch=2, seed=4)


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 256, (96, 8, 8)), np.arange(96) % 4
    return Images.from_arrays(x, y, x[:20], y[:20])


@pytest.fixture
def study(tmp_path):
    return Study.open(tmp_path, "some", {})


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(images, study, tmp_path, monkeypatch):
    whole = trained_network(Study.open(tmp_path / "whole", "some", {}), "resnet8-w2", images, RECIPE)
    run_epoch = Training.run_epoch

    def interrupted(self, progress=None):
        if self.epoch == 2:
            raise KeyboardInterrupt
        return run_epoch(self, progress)

    monkeypatch.setattr(Training, "run_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained_network(study, "resnet8-w2", images, RECIPE)
    monkeypatch.undo()
    told = []
    resumed = trained_network(study, "resnet8-w2", images, RECIPE, lambda *args: told.append(args))
    assert told == [("resnet8-w2: float training", 5, 6), ("resnet8-w2: float training", 6, 6)]
    again = trained_network(study, "resnet8-w2", images, RECIPE, lambda *args: pytest.fail("trained again"))
    for model in (resumed, again):
        assert not model.training
        for name, value in whole.state_dict().items():
            assert torch.equal(value, model.state_dict()[name]), name


def test_checkpoints_of_other_data_are_refused(images, study):
    trained_network(study, "lenet5", images, RECIPE)
    other = Images(images.x_train, images.y_train // 2, images.x_test, images.y_test // 2)
    with pytest.raises(CheckpointError, match="size mismatch"):
        trained_network(study, "lenet5", other, RECIPE)


@pytest.mark.parametrize("name", ["lenet6", "resnet9", "vgg12", "vgg", "lenet5-w3", "resnet8-w0", "mlp", ""])
def test_unknown_networks_are_refused(name, images, study):
    with pytest.raises(NetworkError, match=f"there is no network '{name}'"):
        trained_network(study, name, images, RECIPE)
