"""What simulation costs on the machine at hand."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from multipliers.operands import OperandFormat
from multipliers.table import TableMultiplier
from surrogate.basis import Table
from surrogate.certify import certify
from surrogate.cost import CostModel
from surrogate.model import MultiplierReference, Provenance, Surrogate, Term
from surrogate.nn.calibration import calibrate
from surrogate.nn.config import ApproxConfig
from surrogate.nn.convert import approximate_
from surrogate.nn.devices import require_device


def measure_costs(
    *,
    features: int = 512,
    rows: int = 512,
    device: str | torch.device = "cpu",
    threads: int = 1,
    repetitions: int = 7,
) -> CostModel:
    """Measure a linear layer, accurate in float32 and by each way of simulating it, all in one run.

    Parameters
    ----------
    features, rows : int
        Shape: ``features`` inputs and outputs, ``rows`` rows.
    device : str or torch.device
        Where to measure.
    threads : int
        Threads of PyTorch on a processor.
    repetitions : int
        Runs of which the median counts.

    Returns
    -------
    CostModel
        For `surrogate.select`.

    Raises
    ------
    ValueError
        If a number is below 1.
    ConversionError
        If the device is not there.
    """
    for name, value in (("features", features), ("rows", rows), ("threads", threads), ("repetitions", repetitions)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    device = require_device(device)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, features, generator=generator).to(device)
    with _threads(threads), torch.no_grad():

        def layer(config: ApproxConfig | None) -> float:
            torch.manual_seed(0)
            linear = nn.Linear(features, features).to(device)
            if config is not None:
                approximate_(linear, config)
                calibrate(linear, [x])
            return _median(lambda: linear.eval()(x), repetitions, device)

        accurate = layer(None)
        (_, one), (multiplier, four) = _model(1), _model(4)
        times = {
            (arithmetic, k): layer(ApproxConfig(surrogate=model, arithmetic=arithmetic)) / accurate
            for arithmetic in ("auto", "float32", "float64")
            for k, model in ((1, one), (4, four))
        }
        table = layer(ApproxConfig(multiplier=multiplier, backend="table")) / accurate
    each = {arithmetic: max(0.0, (times[arithmetic, 4] - times[arithmetic, 1]) / 3) for arithmetic, _ in times}
    return CostModel(
        base=max(0.0, times["auto", 1] - each["auto"]),
        int8=each["auto"],
        float32=each["float32"],
        float64=each["float64"],
        table=table,
        shape=f"linear, {features} x {features}, {rows} rows, {threads} threads, {device}",
    )


def _model(rank: int) -> tuple[TableMultiplier, Surrogate]:
    """Make a multiplier of a given rank, of factors that fit int8, and its surrogate of as many products."""
    form = OperandFormat(8, True)
    generator = np.random.default_rng(rank)
    left, right = (generator.integers(-7, 8, size=(256, rank)) for _ in range(2))
    multiplier = TableMultiplier(left @ right.T, form, name="measurement")
    terms = [Term(1, Table(form, g), Table(form, h)) for g, h in zip(left.T, right.T, strict=True)]
    model = Surrogate(terms, MultiplierReference.of(multiplier), Provenance("measurement"))
    return multiplier, certify(model, multiplier)


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _median(run: Callable[[], object], repetitions: int, device: torch.device) -> float:
    def once() -> float:
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    once()  # transforms the weights
    return statistics.median(once() for _ in range(repetitions))
