"""The machine by what matters for speed: its instruction set, its processors, the version of PyTorch."""

from __future__ import annotations

import os
import platform

import torch

_EXTENSIONS = {  # names as torch.cpu.get_capabilities has them; the first of a row that is there stands for it
    "vectors": {"avx512_vbmi": "AVX-512 VBMI", "avx512_f": "AVX-512", "avx2": "AVX2", "neon": "NEON"},
    "int8": {"avx512_vnni": "VNNI", "avx_vnni": "AVX-VNNI", "dotprod": "dot product"},
    "tiles": {"amx_int8": "AMX"},
}


def instruction_set() -> str:
    """Name the architecture and the extensions that int8 products and table lookups can use.

    Examples
    --------
    >>> instruction_set().split(",")[0] in ("x86-64", "arm64", "aarch64")
    True
    """
    found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # PyTorch 2.9 has none
    extensions = (next((name for key, name in row.items() if found.get(key)), None) for row in _EXTENSIONS.values())
    architecture = platform.machine()
    named = "x86-64" if architecture in ("x86_64", "AMD64") else architecture
    return ", ".join([named, *filter(None, extensions)])


def cores() -> int:
    """Count the processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """Describe the machine in a line."""
    count = cores()
    return f"{instruction_set()}, {count} core{'s' if count > 1 else ''}, PyTorch {torch.__version__}"
