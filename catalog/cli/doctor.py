"""``axsurrogate doctor``: what simulation runs on here, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from catalog.cli.arguments import Json
from catalog.cli.console import print_json
from catalog.cli.grid import Grid


def doctor(json: Json = False) -> None:
    """Say which kernels simulate multipliers on this machine, and why these."""
    from surrogate.nn.native.diagnosis import diagnose

    found = diagnose()
    if json:
        print_json(asdict(found))
        return
    lines: list[Sequence[str]] = [
        ("table kernel", found.kernel or "none"),
        ("because", found.reason),
        ("kernels that can run", ", ".join(found.available)),
        ("compiled library", found.library or "not built"),
        ("C compiler, needed to build it", found.compiler or "not found"),
        ("processor", found.machine),
        ("AVX2", _answer(found.avx2)),
        ("AVX-512 VBMI", _answer(found.avx512_vbmi)),
        ("AVX-512 VNNI", _answer(found.avx512_vnni)),
        ("NEON", _answer(found.neon)),
        ("PyTorch", found.torch),
        ("threads", str(found.threads)),
        ("int8 products exact", _answer(found.int8_exact)),
        ("GPU", found.gpu or "none"),
        ("tables on a GPU", "Triton kernel" if found.gpu_trouble is None else f"no kernel: {found.gpu_trouble}"),
    ]
    Grid("What simulation runs on", [("", ""), ("", "")], frozenset({0, 1}), lines).print()


def _answer(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "unknown without the compiled library"}[value]
