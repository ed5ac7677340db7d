"""Modes by layer and epoch, in a plain loop."""

import pytest
import torch
from torch import nn

from surrogate.nn import ApproxConfig, ConversionError, RelativeError, approximate_, calibrate, perturb_weights_
from surrogate.nn.calibration import layers_with_modes
from surrogate.nn.training import Images, ModeSchedule, PlateauRule, PlateauSwitch, Recipe, Training, scheduled_epochs


def mixed():
    """An approximate layer and two of perturbed weights."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 8), nn.Linear(8, 3))
    approximate_(model, {"1": ApproxConfig(multiplier="drum8s_k4")})
    calibrate(model, [torch.rand(4, 1, 4, 4)])
    perturb_weights_(model, {"1": None, "_default": RelativeError.from_mre(0.1)})
    return model


def modes(model):
    return {name: layer.mode for name, layer in layers_with_modes(model)}


def test_each_layer_switches_at_its_own_epoch():
    model = mixed()
    schedule = ModeSchedule(
        {
            "1": {0: "approximate", 2: "linear", 4: "float"},
            "2": {0: "float", 3: "relative"},
            "_default": {0: "relative"},
        }
    )
    expected = ["approximate", "approximate", "linear", "linear", "float"]
    for epoch in (4, 0, 3, 2, 1):  # the epoch alone decides
        found = schedule.apply(model, epoch)
        assert found == modes(model)
        assert found == {"1": expected[epoch], "2": "relative" if epoch >= 3 else "float", "3": "relative"}


def test_layers_that_no_pattern_matches_keep_their_mode():
    model = mixed()
    model[1].mode = "noise"
    assert ModeSchedule.switch(1, "relative", "float", "re:[23]").apply(model, 1) == {"2": "float", "3": "float"}
    assert model[1].mode == "noise"


def test_a_switch_at_the_start_is_one_mode():
    assert ModeSchedule.switch(0, "relative", "float").mode("x", 0) == "float"
    assert ModeSchedule.switch(3).mode("x", 2) == "approximate"


def test_a_mode_that_one_layer_lacks_changes_none():
    model = mixed()
    before = modes(model)
    schedule = ModeSchedule({"1": {0: "float"}, "*": {0: "relative", 5: "quantised"}})
    with pytest.raises(ConversionError, match="has modes 'relative' and 'float', not 'quantised'") as caught:
        schedule.apply(model, 5)
    assert caught.value.__notes__ == ["in layer '2'"]
    assert modes(model) == before


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ({}, "at least one pattern"),
        ("approximate", "at least one pattern"),
        ({"*": "exact"}, r"must map epochs, 0 among them, to modes, got 'exact'"),
        ({"*": {5: "exact"}}, "0 among them"),
        ({"*": {0: "exact", 1.5: "float"}}, r"epoch 1\.5; epochs are whole numbers from 0"),
        ({"*": {0: "exact", -1: "float"}}, "epoch -1"),
        ({"*": {0: "gaussian"}}, "mode 'gaussian'; modes are approximate, "),
    ],
)
def test_malformed_schedules_are_refused(patterns, message):
    with pytest.raises(ValueError, match=message):
        ModeSchedule(patterns)


def test_patterns_that_decide_for_nothing_are_refused():
    with pytest.raises(ConversionError, match="'conv' decides for no layer that has modes; these are '1', '2'"):
        ModeSchedule({"conv": {0: "float"}}).apply(mixed(), 0)
    with pytest.raises(ConversionError, match=r"these are \(none\); approximate_ and perturb_weights_ make them"):
        ModeSchedule.switch(1).apply(nn.Linear(2, 2), 0)


def images():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(48, 1, 4, 4, generator=generator)
    return Images(x, torch.arange(48) % 3, x[:9], torch.arange(9) % 3)


def test_scheduled_epochs_are_those_of_a_loop_by_hand():
    runs = []
    for by_hand in (True, False):
        torch.manual_seed(0)
        training = Training(mixed(), images(), Recipe(epochs=4, learning_rate=0.1, batch_size=16))
        schedule = ModeSchedule({"1": {0: "approximate", 2: "quantised"}, "_default": {0: "relative", 3: "float"}})
        if by_hand:
            training.model[1].mode = "approximate"
            losses = [training.run_epoch().loss for _ in range(2)]
            training.model[1].mode = "quantised"
            losses.append(training.run_epoch().loss)
            for index in (2, 3):
                training.model[index].parametrizations.weight[0].mode = "float"
            losses.append(training.run_epoch().loss)
        else:
            losses = [epoch.loss for epoch in scheduled_epochs(training, schedule)]
        runs.append(losses)
    assert len(runs[0]) == 4
    assert runs[0] == runs[1]


def test_a_plateau_switches_once_and_for_good():
    schedule = PlateauSwitch(PlateauRule(n_images=100, window=1), "relative", "float", "re:[23]")
    model, seen = mixed(), []
    for epoch, accuracy in enumerate((0.2, 0.5, 0.51, 0.7, 0.9)):
        seen.append(schedule.apply(model, epoch)["2"])
        schedule.observe(accuracy)
    assert schedule.epoch == 3  # after 0.51; what comes later does not matter
    assert seen == ["relative"] * 3 + ["float"] * 2
    resumed = PlateauSwitch(schedule.rule, "relative", "float", "re:[23]", accuracies=list(schedule.accuracies))
    assert resumed.apply(model, 2)["2"] == "relative"
    assert resumed.apply(model, 5)["2"] == "float"
    with pytest.raises(ValueError, match=r"a share from 0 to 1, got 93\.5"):
        schedule.observe(93.5)
