"""The rows of the report: operation, circuit, bar, and what published tools need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks import workloads
from benchmarks.experiments import Experiment
from benchmarks.workloads import Size


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


UNSIGNED, SIGNED = "mitchell8u", "mitchell8s"  # ranks 128 and 64: no small exact surrogate
LOW_RANK = {"drum8u_k4": 1, "bam8s_h0v2": 3, "bam8s_h0v3": 4, "roba8s_c1": 4, "bam8u_h2v5": 4}
SOME_LOW_RANK = {"drum8u_k4": 1, "bam8s_h0v3": 4, "bam8u_h2v5": 4}
NETWORK = "bam8s_h0v3"
WIDE = {"drum16s_k6": 1, "udm16u": 2, "bam16s_h0v3": 4}
KERNELS = {"avx2": ("AVX2 kernel", None), "portable": ("portable C kernel", 15.0), "torch": ("no native code", 15.0)}

GEMM = "GEMM 1024 x 1024 x 1024"


@dataclass(frozen=True)
class _Kind:
    """Rows of one operation, by table and by exact surrogate."""

    key: str
    operation: str
    published: str
    build: Callable[..., Experiment]

    def by_table(self, label: str, bar: float, **options: object) -> Row:
        build = partial(self.build, label, "table", **options)
        return Row(f"{self.key}.table.{label}", self.operation, f"{label}, by table", bar, self.published, build)

    def by_surrogate(self, label: str, rank: int, bar: float) -> Row:
        build = partial(self.build, label, "surrogate")
        return Row(f"{self.key}.rank.{label}", self.operation, f"{label}, rank {rank}", bar, self.published, build)

    def quantised_only(self, published: str) -> Row:
        build = partial(self.build, NETWORK, "surrogate", mode="quantised")
        return Row(f"{self.key}.quantised", self.operation, "none, quantised only", None, published, build)

    def fake(self, published: str, build: Callable[[Size], Experiment]) -> Row:
        return Row(f"{self.key}.fake", self.operation, "none, torch's fake quantisation", None, published, build)


def _operations() -> Iterator[Row]:
    gemm = _Kind("gemm", GEMM, "24 to 28", workloads.gemm)
    yield gemm.by_table(UNSIGNED, 1.0)
    yield gemm.by_table(SIGNED, 1.0, rectified=True)
    for label, rank in LOW_RANK.items():
        yield gemm.by_surrogate(label, rank, 0.7)
    for channels in (64, 128):
        build = partial(workloads.convolution, channels=channels)
        convolution = _Kind(f"conv{channels}", f"convolution 3 x 3, {channels} channels", "34 to 53", build)
        for label in (UNSIGNED, SIGNED):
            yield convolution.by_table(label, 2.0)
        for label, rank in SOME_LOW_RANK.items():
            yield convolution.by_surrogate(label, rank, 1.3)
    build = partial(workloads.convolution, channels=64, depthwise=True)
    depthwise = _Kind("depthwise", "depthwise convolution 3 x 3, 64 channels", "27 to 30", build)
    for label in (UNSIGNED, SIGNED):
        yield depthwise.by_table(label, 3.0)
    for label, rank in SOME_LOW_RANK.items():
        yield depthwise.by_surrogate(label, rank, 3.0)


def _networks() -> Iterator[Row]:
    forward = _Kind("resnet8.forward", "ResNet8 forward", "25 to 46", workloads.resnet8_forward)
    resnet8 = _Kind("resnet8.step", "ResNet8 training step", "7.3 to 11.8", workloads.resnet8_step)
    lenet = _Kind("lenet.step", "LeNet-5 training step", "4.1 to 6.0", workloads.lenet_step)
    alone = {forward: "3.9", resnet8: "1.95", lenet: ""}  # fake quantisation without a multiplier
    fake = {resnet8: workloads.resnet8_fake, lenet: workloads.lenet_fake}
    for kind, bar in ((forward, 2.0), (resnet8, 1.35), (lenet, 1.3)):
        for label in (UNSIGNED, SIGNED):
            yield kind.by_table(label, bar)
        yield kind.by_surrogate(NETWORK, 4, bar)
        yield kind.quantised_only(alone[kind])
        if kind in fake:
            yield kind.fake(alone[kind], fake[kind])


def _special() -> Iterator[Row]:
    wide = _Kind("gemm16", f"{GEMM}, 16 bits", "none", workloads.gemm)
    for label, rank in WIDE.items():
        yield wide.by_surrogate(label, rank, 6.0)
    for kernel, (how, bar) in KERNELS.items():
        build = partial(workloads.gemm, UNSIGNED, "table")
        yield Row(f"gemm.{kernel}.{UNSIGNED}", GEMM, f"{UNSIGNED}, {how}", bar, "24 to 28", build, kernel)


ROWS = (*_operations(), *_networks(), *_special())
