"""The rows of the report: operation, circuit, bar, and what published tools need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.experiments import Experiment, configuration, forward, operation, training_step
from surrogate.nn.networks import LeNet5, ResNet8


@dataclass(frozen=True)
class Size:
    """Sizes of all that is timed.

    Attributes
    ----------
    matrix : int
        Rows and columns of the matrices.
    images, side : int
        Batch and size of the images of single convolutions.
    batch : int
        Images in a batch of a network.
    narrow : int
        Divisor of the channels of single convolutions.
    """

    matrix: int = 1024
    images: int = 32
    side: int = 32
    batch: int = 64
    narrow: int = 1


FULL, TINY = Size(), Size(40, 2, 9, 3, 8)


@dataclass(frozen=True)
class Row:
    """A line of the report.

    Attributes
    ----------
    key : str
        Name to select it by, such as ``"gemm.table.mitchell8u"``.
    operation, circuit : str
        What is timed, and with which multiplier.
    bar : float or None
        Largest ratio to torch's float32 operation that is good enough; None of a row that is there for comparison.
    published : str
        The same ratio of published tools.
    build : callable
        Makes the experiment of a `Size`.
    kernel : str
        Table kernel to force; empty for the fastest.
    """

    key: str
    operation: str
    circuit: str
    bar: float | None
    published: str
    build: Callable[[Size], Experiment]
    kernel: str = ""


def _images(size: Size, channels: int) -> Tensor:
    generator = torch.Generator().manual_seed(channels)
    return torch.randn(size.images, channels, size.side, size.side, generator=generator)


def _gemm(label: str, backend: str, size: Size, rectified: bool = False) -> Experiment:
    torch.manual_seed(0)
    n = size.matrix
    x = torch.randn(n, n)
    return operation(nn.Linear(n, n), x.relu() if rectified else x, configuration(label, backend))


def _conv(label: str, backend: str, size: Size, channels: int, depthwise: bool = False) -> Experiment:
    torch.manual_seed(0)
    channels //= size.narrow
    layer = nn.Conv2d(channels, channels, 3, padding=1, groups=channels if depthwise else 1)
    return operation(layer, _images(size, channels).relu(), configuration(label, backend))


def _resnet(label: str, backend: str, size: Size, train: bool = False, mode: str = "approximate") -> Experiment:
    images = torch.randn(size.batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    time = training_step if train else forward
    return time(ResNet8.seeded(0), images, configuration(label, backend), mode)


def _lenet(label: str, backend: str, size: Size, mode: str = "approximate") -> Experiment:
    images = torch.rand(size.batch, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return training_step(LeNet5.seeded(0), images, configuration(label, backend), mode)


UNSIGNED, SIGNED = "mitchell8u", "mitchell8s"  # ranks 128 and 64: no small exact surrogate
LOW_RANK = {"drum8u_k4": 1, "bam8s_h0v2": 3, "bam8s_h0v3": 4, "roba8s_c1": 4, "bam8u_h2v5": 4}
SMALL = {"drum8u_k4": 1, "bam8s_h0v3": 4, "bam8u_h2v5": 4}
WIDE = {"drum16s_k6": 1, "udm16u": 2, "bam16s_h0v3": 4}

QUANTISED = "exact product, quantised only"


def _rows() -> list[Row]:
    def tables(key: str, name: str, bar: float | None, published: str, build: Callable[..., Experiment]) -> None:
        for label in (UNSIGNED, SIGNED):
            circuit = f"{label}, by table"
            rows.append(Row(f"{key}.table.{label}", name, circuit, bar, published, partial(build, label, "table")))

    def surrogates(
        key: str, name: str, bar: float | None, published: str, labels: dict[str, int], build: Callable[..., Experiment]
    ) -> None:
        for label, rank in labels.items():
            circuit = f"{label}, rank {rank}"
            rows.append(Row(f"{key}.rank.{label}", name, circuit, bar, published, partial(build, label, "surrogate")))

    rows: list[Row] = []
    gemm = "GEMM 1024 x 1024 x 1024"
    for label in (UNSIGNED, SIGNED):
        build = partial(_gemm, label, "table", rectified=label == SIGNED)
        rows.append(Row(f"gemm.table.{label}", gemm, f"{label}, by table", 1.0, "24 to 28", build))
    surrogates("gemm", gemm, 0.7, "", LOW_RANK, _gemm)
    for channels in (64, 128):
        name, key = f"convolution 3 x 3, {channels} channels", f"conv{channels}"
        build = partial(_conv, channels=channels)
        tables(key, name, 2.0, "34 to 53", build)
        surrogates(key, name, 1.3, "", SMALL, build)
    depthwise = partial(_conv, channels=64, depthwise=True)
    tables("depthwise", "depthwise convolution 3 x 3, 64 channels", 3.0, "27 to 30", depthwise)
    surrogates("depthwise", "depthwise convolution 3 x 3, 64 channels", 3.0, "27 to 30", SMALL, depthwise)
    some = {"bam8s_h0v3": 4}
    for train, name, bar, published, alone in (
        (False, "ResNet8 forward", 2.0, "25 to 46", "3.9"),
        (True, "ResNet8 training step", 1.35, "7.3 to 11.8", "1.95"),
    ):
        key = "resnet8.step" if train else "resnet8.forward"
        build = partial(_resnet, train=train)
        tables(key, name, bar, published, build)
        surrogates(key, name, bar, published, some, build)
        quantised = partial(_resnet, SIGNED, "table", train=train, mode="quantised")
        rows.append(Row(f"{key}.quantised", name, QUANTISED, None, alone, quantised))
    lenet = "LeNet-5 training step"
    tables("lenet.step", lenet, 1.3, "4.1 to 6.0", _lenet)
    surrogates("lenet.step", lenet, 1.3, "4.1 to 6.0", some, _lenet)
    quantised = partial(_lenet, SIGNED, "table", mode="quantised")
    rows.append(Row("lenet.step.quantised", lenet, QUANTISED, None, "", quantised))
    surrogates("gemm16", f"{gemm}, 16 bits", 6.0, "none", WIDE, _gemm)
    for kernel, how, bar in (
        ("avx2", "AVX2 kernel", None),
        ("portable", "portable C kernel", 15.0),
        ("torch", "without native code", 15.0),
    ):
        build = partial(_gemm, UNSIGNED, "table")
        rows.append(Row(f"gemm.{kernel}.{UNSIGNED}", gemm, f"{UNSIGNED}, {how}", bar, "24 to 28", build, kernel))
    return rows


ROWS = tuple(_rows())
