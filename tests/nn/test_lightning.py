"""Schedules as Lightning callbacks, in Lightning's own trainer."""

import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from surrogate.nn import RelativeError, perturb_weights_
from surrogate.nn.training import ModeSchedule, PlateauRule, PlateauSwitch, mode_callback

pytestmark = pytest.mark.filterwarnings("default")  # of Lightning, about its own calls and loaders
X = torch.rand(32, 6, generator=torch.Generator().manual_seed(0))
BATCHES = DataLoader(TensorDataset(X, torch.arange(32) % 3), batch_size=16)
ACCURACIES = (0.2, 0.5, 0.8, 0.8, 0.8, 0.8, 0.8)


@pytest.fixture(scope="module")
def lightning():
    return pytest.importorskip("pytorch_lightning", reason="pip install 'axsurrogate[lightning]'")


@pytest.fixture
def module(lightning):
    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.network = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
            perturb_weights_(self.network, RelativeError.from_mre(0.2))
            self.seen = []

        def training_step(self, batch, index):
            x, y = batch
            self.seen.append((self.current_epoch, self.network[0].parametrizations.weight[0].mode))
            return nn.functional.cross_entropy(self.network(x), y)

        def validation_step(self, batch, index):
            self.log("accuracy", ACCURACIES[self.current_epoch])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return Module()


def fit(lightning, module, callback, epochs, **options):
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[callback],
    )
    trainer.fit(module, BATCHES, BATCHES, **options)
    return trainer


def test_modes_change_as_in_a_plain_loop(lightning, module):
    schedule = ModeSchedule({"network.*": {0: "relative", 2: "float"}})
    fit(lightning, module, mode_callback(schedule), 3)
    assert module.seen == [(0, "relative")] * 2 + [(1, "relative")] * 2 + [(2, "float")] * 2
    by_hand = type(module)()
    optimiser = by_hand.configure_optimizers()
    for epoch in range(3):
        schedule.apply(by_hand, epoch)
        for x, y in BATCHES:
            optimiser.zero_grad()
            nn.functional.cross_entropy(by_hand.network(x), y).backward()
            optimiser.step()
    for name, value in by_hand.state_dict().items():
        assert torch.equal(value, module.state_dict()[name])


def test_a_plateau_is_found_in_a_logged_metric_and_stored(lightning, module, tmp_path):
    rule = PlateauRule(n_images=1000, window=1)
    callback = mode_callback(PlateauSwitch(rule, "relative", "float"), monitor="accuracy")
    trainer = fit(lightning, module, callback, 4)  # the sanity check before training is not counted
    assert callback.schedule.accuracies == pytest.approx(ACCURACIES[:4])
    assert [mode for _, mode in module.seen[::2]] == ["relative"] * 4
    trainer.save_checkpoint(tmp_path / "state.ckpt")
    resumed = mode_callback(PlateauSwitch(rule, "relative", "float"), monitor="accuracy")
    fit(lightning, module, resumed, 6, ckpt_path=tmp_path / "state.ckpt")
    assert resumed.schedule.accuracies == pytest.approx(ACCURACIES[:6])
    assert [mode for _, mode in module.seen[8::2]] == ["float"] * 2


def test_a_metric_that_is_not_logged_is_told(lightning, module):
    callback = mode_callback(PlateauSwitch(PlateauRule(n_images=10)), monitor="val_acc")
    callback.schedule.first = "relative"
    with pytest.raises(ValueError, match="logs no 'val_acc' in validation; it logs 'accuracy'"):
        fit(lightning, module, callback, 1)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match="a PlateauSwitch needs monitor="):
        mode_callback(PlateauSwitch(PlateauRule(n_images=10)))
    with pytest.raises(ValueError, match="a ModeSchedule has none"):
        mode_callback(ModeSchedule.switch(3), monitor="accuracy")


def test_without_lightning_the_error_says_what_to_install(monkeypatch):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'axsurrogate\[lightning\]'"):
        mode_callback(ModeSchedule.switch(3))
