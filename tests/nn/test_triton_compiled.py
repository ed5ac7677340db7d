"""The table kernel of GPUs, compiled by Triton for GPUs that need not be there."""

import os
from types import SimpleNamespace

import pytest

from surrogate.nn.gpu.triton_kernel import WARPS, block_shape, table_kernel


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """Compile the kernel for an NVIDIA GPU of a capability; none need be there."""
    triton = pytest.importorskip("triton", reason="Triton is not installed; pip install triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if os.environ.get("TRITON_INTERPRET") == "1":
        pytest.skip("TRITON_INTERPRET=1 turns the compiler off")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))  # compile anew
    kernel = table_kernel()
    arrays = {"x": "*u8", "w": "*i32", "entries": "*i16", "out": "*i32"}
    aligned = {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in arrays}

    def compiled(capability=90, out_channels=64, types=None, constants=None):
        channels, width = block_shape(out_channels, 32768)
        constants = {**(constants or {}), "CHANNELS": channels, "POSITIONS": width}
        signature = dict.fromkeys(kernel.arg_names, "i32") | arrays | (types or {})
        source = ASTSource(kernel, signature | dict.fromkeys(constants, "constexpr"), constants, aligned)
        options = {"num_warps": WARPS, "enable_fp_fusion": False}
        found = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
        return SimpleNamespace(shared=found.metadata.shared, ptx=found.asm["ptx"])

    return compiled


@pytest.mark.parametrize("capability", [75, 80, 90, 100])
def test_it_compiles_for_gpus_of_each_generation(compiler, capability):
    """Gathers of 16 bits, one for each sum of a thread and step; nothing goes through shared memory in between."""
    found = compiler(capability)
    assert f"sm_{capability}" in found.ptx
    assert found.shared == 0
    assert "bar.sync" not in found.ptx
    assert found.ptx.count("ld.global.b16") == 32
    assert found.ptx.count("ld.global.b32") == 8  # a weight of each channel


def test_tables_and_activations_of_other_widths(compiler):
    """Triton compiles for the types that it is called with: a table of 32 bits, activations with skipped lanes."""
    found = compiler(types={"x": "*i16", "entries": "*i32"})
    assert found.ptx.count("ld.global.b16") == 4  # positions of a thread


def test_sizes_that_triton_takes_for_constants_or_64_bits(compiler):
    """It compiles anew where a size is 1, and where one exceeds 32 bits."""
    sizes = ("image_positions", "out_columns", "image_size", "plane", "row_stride", "row_step", "column_step")
    loops = ("kernel_rows", "kernel_columns", "channels", "out_channels", "groups", "blocks")
    places = ("out_image", "out_position", "out_channel")
    ones = dict.fromkeys((*sizes, *loops, *places), 1)
    assert "sm_90" in compiler(out_channels=1, constants=ones).ptx
    wide = dict.fromkeys(("image_size", "plane", "row_stride", "row_step", "out_image", "out_channel"), "i64")
    assert "sm_90" in compiler(types=wide).ptx
