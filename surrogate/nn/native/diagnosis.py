"""What the sums of approximate layers run on here, and why."""

from __future__ import annotations

import os
import platform
import shutil
import sysconfig
from dataclasses import dataclass

import torch

from surrogate.nn.errors import ConversionError
from surrogate.nn.gpu.triton_probe import triton_trouble
from surrogate.nn.native import library
from surrogate.nn.products.int8 import int8_products_are_exact


@dataclass(frozen=True)
class Diagnosis:
    """State of the installation.

    Attributes
    ----------
    kernel : str or None
        Kernel of table lookups that runs; None if the one that is asked for cannot.
    reason : str
        Why this one.
    available : tuple of str
        Kernels that can run, in the order of preference.
    library : str or None
        Path of the compiled library.
    compiler : str or None
        Path of a C compiler; one is needed only to install.
    machine : str
        Architecture of the processor.
    avx2, avx512_vbmi, avx512_vnni, neon : bool or None
        Instructions that the compiled library found; None without it.
    torch, threads
        Version of PyTorch, and how many threads it uses.
    int8_exact : bool
        Whether products of exact surrogates may run in int8: some processors' int8 sums saturate.
    gpu : str or None
        Name of the GPU that PyTorch uses, if there is one.
    gpu_trouble : str or None
        Why the table kernel of GPUs cannot run, so that PyTorch's own operations do its work; None if it runs.
    """

    kernel: str | None
    reason: str
    available: tuple[str, ...]
    library: str | None
    compiler: str | None
    machine: str
    avx2: bool | None
    avx512_vbmi: bool | None
    avx512_vnni: bool | None
    neon: bool | None
    torch: str
    threads: int
    int8_exact: bool
    gpu: str | None
    gpu_trouble: str | None


def diagnose() -> Diagnosis:
    """Examine the installation.

    Examples
    --------
    >>> found = diagnose()
    >>> found.available[-1]
    'torch'
    """
    available, loaded, path = library.available_kernels(), library.load_library(), library.library_path()
    features = None if loaded is None else loaded.axs_features()
    kernel: str | None
    try:
        kernel, reason = library.active_kernel(), _reason(loaded is not None, path is not None)
    except ConversionError as error:
        kernel, reason = None, str(error)
    return Diagnosis(
        kernel=kernel,
        reason=reason,
        available=available,
        library=None if path is None else str(path),
        compiler=_compiler(),
        machine=platform.machine(),
        avx2=None if features is None else bool(features & 1),
        avx512_vbmi=None if features is None else bool(features & 2),
        avx512_vnni=None if features is None else bool(features & 8),
        neon=None if features is None else bool(features & 4),
        torch=str(torch.__version__),
        threads=torch.get_num_threads(),
        int8_exact=int8_products_are_exact("cpu"),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        gpu_trouble=triton_trouble(torch.device("cuda")),
    )


def _reason(loaded: bool, built: bool) -> str:
    if os.environ.get(library.VARIABLE):
        return f"{library.VARIABLE} names it"
    if loaded:
        return "the first in the order of preference that this processor has the instructions for"
    if built:
        return "the compiled library does not load, or is of other sources; install the package again"
    return "no compiled library; install the package again where there is a C compiler"


def _compiler() -> str | None:
    """Path of the compiler that installing the package would call, or None."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(str(command).split()[0])
