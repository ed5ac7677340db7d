"""One approximate run, continued from any of its epochs: the same as trainings from the start."""

import pytest
import torch
from torch import nn

from surrogate.nn import ApproxConfig, RelativeError, approximate_, calibrate, perturb_weights_
from surrogate.nn.training import (
    CheckpointError,
    HybridTraining,
    Images,
    ModeSchedule,
    Recipe,
    Training,
    scheduled_epochs,
)

EPOCHS = 4
X = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))
IMAGES = Images(X, torch.arange(40) % 3, X[:9], torch.arange(9) % 3)


def make(kind="gaussian", learning_rate=0.1):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Dropout(0.2), nn.Linear(12, 3))
    if kind == "gaussian":
        perturb_weights_(model, RelativeError.from_mre(0.2))
    else:
        approximate_(model, ApproxConfig(multiplier="drum8s_k3"))
        calibrate(model, [X])
    return Training(model, IMAGES, Recipe(EPOCHS, learning_rate, batch_size=16))


KINDS = {"gaussian": ("relative", "float"), "real": ("approximate", "quantised"), "stand-in": ("relative", "exact")}


@pytest.mark.parametrize("kind", KINDS)
def test_every_switch_is_the_training_from_the_start_bit_for_bit(kind, tmp_path):
    first, then = KINDS[kind]
    hybrid = HybridTraining(lambda: make(kind), tmp_path, first=first, then=then)
    for switch in (2, 0, EPOCHS, 3):
        whole = make(kind)
        for _ in scheduled_epochs(whole, ModeSchedule.switch(switch, first, then)):
            pass
        found = hybrid.switched_at(switch)
        assert found.finished
        for name, value in whole.model.state_dict().items():
            assert torch.equal(value, found.model.state_dict()[name]), (switch, name)
        ModeSchedule.switch(0, first, then).apply(whole.model, 0)  # accuracy is that of the second mode
        assert torch.equal(whole.model.eval()(X), found.model.eval()(X))


def test_each_epoch_of_the_first_mode_is_trained_once(tmp_path, monkeypatch):
    trained, run_epoch = [], Training.run_epoch

    def counted(self, progress=None):
        trained.append(self.model[0].parametrizations.weight[0].mode)
        return run_epoch(self, progress)

    monkeypatch.setattr(Training, "run_epoch", counted)
    told = []
    HybridTraining(make, tmp_path, first="relative", then="float").switched_at(2)
    assert trained == ["relative"] * 2 + ["float"] * 2
    again = HybridTraining(make, tmp_path, first="relative", then="float", told=lambda *args: told.append(args))
    again.switched_at(3)
    assert trained[4:] == ["relative", "float"]
    assert told == [("relative epochs", 3, 4), ("float from epoch 3", 1, 1)]
    assert again.at(1).epoch == 1
    assert len(trained) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch1.pt", "epoch2.pt", "epoch3.pt"]


def test_checkpoints_of_others_are_refused(tmp_path):
    HybridTraining(make, tmp_path, first="relative", then="float").at(2)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CheckpointError, match=r"epoch2.pt: was trained in mode 'relative', not 'float'; give another"):
        HybridTraining(make, tmp_path, first="float", then="relative").at(3)
    with pytest.raises(CheckpointError, match=r"epoch2.pt: the state is of another recipe.*give another folder"):
        HybridTraining(lambda: make(learning_rate=0.2), tmp_path, first="relative", then="float").at(3)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "epoch2.pt").write_bytes(b"?")
    with pytest.raises(CheckpointError, match=r"epoch2.pt: is no checkpoint"):
        HybridTraining(make, tmp_path, first="relative", then="float").at(3)


@pytest.mark.parametrize("epoch", [-1, EPOCHS + 1])
def test_epochs_that_are_none_are_refused(epoch, tmp_path):
    with pytest.raises(ValueError, match=f"has 4 epochs, and can switch at 0 to 4, not at {epoch}"):
        HybridTraining(make, tmp_path, first="relative", then="float").switched_at(epoch)
