"""The compiled table kernel: sums of table entries, with AVX-512 VBMI at about the speed of float32 products.

A plain C library, built when the package is installed where a C compiler is present, and loaded with ctypes when first
needed. It holds several kernels and runs the first that the processor has instructions for:

``"avx512-vbmi"``
    Byte permutes: a row of the table stays in registers, and one instruction looks up 64 activations.
``"avx2"``
    Byte shuffles over 16 entries, and a tree of blends; where the row of a weight has more than 512 bytes (256 entries
    of three bytes or four), ``"portable"`` runs in its place and is faster.
``"neon"``
    Table instructions over 64 entries, on 64-bit ARM.
``"portable"``
    Plain C, on any processor: about 10 times a float32 product.
``"torch"``
    No compiled code: PyTorch's own operations (`surrogate.nn.engines.lookup_sums`).

Beside the first of them, on processors with AVX-512 VNNI, the library multiplies the factors of a surrogate of low rank
in place of lookups (`surrogate.nn.native.products`).

The environment variable ``AXSURROGATE_TABLE_KERNEL`` names one to run instead; a table that a compiled kernel named so
cannot hold is refused. Unnamed, PyTorch's operations take such tables. All return the same integers.
"""

from surrogate.nn.native.active import ActiveTable
from surrogate.nn.native.library import KERNELS, active_kernel, available_kernels
from surrogate.nn.native.products import NativeProducts
from surrogate.nn.native.sums import NativeTable, NativeWeights

__all__ = [
    "KERNELS",
    "ActiveTable",
    "NativeProducts",
    "NativeTable",
    "NativeWeights",
    "active_kernel",
    "available_kernels",
]
