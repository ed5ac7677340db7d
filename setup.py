"""The compiled table kernel; everything else is in pyproject.toml.

The library uses neither Python's nor PyTorch's interface (it is loaded with ctypes), and it is optional: where it
cannot be built, installation succeeds and PyTorch's own operations do its work.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDER = Path("surrogate", "nn", "native")


class BuildLibrary(build_ext):
    """Build a plain shared library in the place of an extension module."""

    def build_extension(self, ext: Extension) -> None:
        """Optimise, whatever the interpreter itself was built with; instruction sets are chosen per function."""
        if self.compiler.compiler_type != "msvc":
            ext.extra_compile_args = [
                "-std=c11",
                "-O3",
                "-fno-trapping-math",
                "-ffp-contract=off",
                "-g0",
                "-fvisibility=hidden",
            ]
        super().build_extension(ext)

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """Return the library's own functions: it has no module initialiser."""
        return ext.export_symbols


setup(
    cmdclass={"build_ext": BuildLibrary},
    ext_modules=[
        Extension(
            "surrogate.nn.native._sums",
            sources=[
                str(FOLDER / name)
                for name in (
                    "sums.c",
                    "convolution.c",
                    "quantise.c",
                    "elementwise.c",
                    "portable.c",
                    "avx2.c",
                    "avx512.c",
                    "dot.c",
                    "neon.c",
                )
            ],
            depends=[str(FOLDER / name) for name in ("kernel.h", "avx512.h", "convolution.h", "elementwise.h")],
            export_symbols=[
                "axs_dequantise",
                "axs_features",
                "axs_mask",
                "axs_observation_size",
                "axs_observe",
                "axs_pack",
                "axs_problem_size",
                "axs_quantisation_size",
                "axs_quantise",
                "axs_quantise_weights",
                "axs_sums",
                "axs_transform_weights",
                "axs_weights_size",
            ],
            optional=True,
        )
    ],
)
