"""Progress is shown on terminals alone, and told to functions."""

import io
import re
from contextlib import redirect_stderr

import pytest
import torch
from torch import nn

from surrogate.nn import ApproxConfig, QuantisationError, approximate_, calibrate, from_model

BATCHES = [torch.rand(3, 4) for _ in range(3)]


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def text(self):
        """What was written, without control sequences."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


@pytest.fixture
def model():
    model = nn.Sequential(nn.Linear(4, 2))
    approximate_(model, ApproxConfig(multiplier="drum8u_k4"))
    return model


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch):
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


def test_a_bar_counts_batches_and_knows_how_many_there_are(model):
    with redirect_stderr(Terminal()) as terminal:
        calibrate(model, BATCHES, progress=True)
    assert "calibrating" in terminal.text()
    assert "3/3" in terminal.text()
    with redirect_stderr(Terminal()) as terminal:
        from_model(model, BATCHES, progress=True)
    assert "counting operands" in terminal.text()


def test_the_length_of_a_generator_is_not_known(model):
    with redirect_stderr(Terminal()) as terminal:
        calibrate(model, (batch for batch in BATCHES), progress=True)
    assert "3/?" in terminal.text()


def test_a_data_loader_says_how_many_batches_there_are(model):
    data = torch.utils.data.TensorDataset(torch.rand(10, 4))
    with redirect_stderr(Terminal()) as terminal:
        calibrate(model, torch.utils.data.DataLoader(data, batch_size=4), progress=True)
    assert "3/3" in terminal.text()


def test_an_error_ends_the_bar(model):
    batches = [*BATCHES, BATCHES[0] * float("nan")]
    with redirect_stderr(Terminal()) as terminal, pytest.raises(QuantisationError):
        calibrate(model, batches, progress=True)
    assert terminal.getvalue().rfind("\x1b[?25h") > terminal.getvalue().rfind("3/4")  # the cursor is shown again


def test_files_and_pipes_get_no_bar_unless_the_environment_asks(model, monkeypatch):
    with redirect_stderr(io.StringIO()) as file:
        calibrate(model, BATCHES, progress=True)
    assert file.getvalue().strip() == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with redirect_stderr(io.StringIO()) as file:
        calibrate(model, BATCHES, progress=True)
    assert "3/3" in file.getvalue()


@pytest.mark.parametrize("progress", [False, None])
def test_no_bar_that_is_not_asked_for(model, progress):
    with redirect_stderr(Terminal()) as terminal:
        calibrate(model, BATCHES, progress=progress)
    assert terminal.getvalue() == ""


def test_functions_are_told_instead(model):
    seen = []
    with redirect_stderr(Terminal()) as terminal:
        calibrate(model, BATCHES, progress=seen.append)
    assert seen == [1, 2, 3]
    assert terminal.getvalue() == ""
