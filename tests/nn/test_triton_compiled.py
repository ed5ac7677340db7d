"""The table kernel of GPUs, compiled by Triton for GPUs that need not be there."""

from types import SimpleNamespace

import pytest

from surrogate.nn.triton_kernel import WARPS, block_shape, table_kernel


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """Compile the kernel for an NVIDIA GPU of a capability; none need be there."""
    triton = pytest.importorskip("triton", reason="Triton is not installed; pip install triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if triton.knobs.runtime.interpret:
        pytest.skip("TRITON_INTERPRET=1 turns the compiler off")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))  # compile anew
    kernel = table_kernel()
    signature = dict.fromkeys(kernel.arg_names, "i32")
    signature |= {"x": "*u8", "w": "*i32", "entries": "*i16", "out": "*i32"}
    aligned = {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in ("x", "w", "entries", "out")}

    def compiled(capability, out_channels, positions):
        channels, width = block_shape(out_channels, positions)
        constants = {"CHANNELS": channels, "POSITIONS": width, "column_stride": 1}
        source = ASTSource(kernel, signature | dict.fromkeys(constants, "constexpr"), constants, aligned)
        options = {"num_warps": WARPS, "enable_fp_fusion": False}
        found = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
        return SimpleNamespace(shared=found.metadata.shared, ptx=found.asm["ptx"])

    return compiled


@pytest.mark.parametrize("capability", [75, 80, 90, 100])
def test_it_compiles_for_gpus_of_each_generation(compiler, capability):
    """Gathers of 16 bits, one for each sum of a thread and step; nothing goes through shared memory in between."""
    found = compiler(capability, 64, 32768)
    assert f"sm_{capability}" in found.ptx
    assert found.shared == 0
    assert "bar.sync" not in found.ptx
    assert found.ptx.count("ld.global.b16") == 32
