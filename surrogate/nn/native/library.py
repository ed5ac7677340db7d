"""Where the compiled library is, what it offers on this processor, and which kernel runs."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_float, c_int, c_int32, c_int64, c_void_p
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from surrogate.nn.errors import ConversionError

VARIABLE = "AXSURROGATE_TABLE_KERNEL"
"""Environment variable that names the kernel to run."""

KERNELS = ("avx512-vbmi", "avx2", "neon", "portable", "torch")
"""Names of all kernels, in the order of preference."""

NUMBERS = {"portable": 0, "avx2": 1, "avx512-vbmi": 2, "neon": 3}
"""Numbers by which the library knows its kernels."""


class Problem(ctypes.Structure):
    """Arguments of ``axs_sums``: the structure of the same name in sums.c."""

    _fields_ = (
        *((name, c_void_p) for name in ("x", "keep", "w", "out", "entries")),
        *((name, c_int64) for name in ("planes", "size", "plane_stride", "row_stride", "minimum")),
        *((name, c_void_p) for name in ("factors", "constants")),
        *((name, c_int64) for name in ("terms", "factor_stride", "depth")),
        *((name, c_int64) for name in ("images", "channels", "height", "width", "groups", "out_channels")),
        *((name, c_int64) for name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w")),
        *((name, c_int64) for name in ("out_h", "out_w", "first_lane", "end_lane", "channels_last")),
        *((name, c_void_p) for name in ("scale", "bias", "w_sums", "w_zero")),
        *((name, c_int64) for name in ("x_zero", "x_minimum", "kernel", "splits", "next_task", "failures")),
    )


class Quantisation(ctypes.Structure):
    """Arguments of ``axs_quantise``: the structure of the same name in quantise.c."""

    _fields_ = (
        *((name, c_void_p) for name in ("x", "codes", "inside")),
        *((name, c_int64) for name in ("images", "channels", "height", "width", "top", "left")),
        *((name, c_int64) for name in ("padded_h", "padded_w", "channels_last")),
        *((name, c_float) for name in ("scale", "zero", "low", "high")),
        *((name, c_int32) for name in ("minimum", "thread_smallest", "thread_largest", "thread_nan")),
        ("next_part", c_int64),
        *((name, c_int32) for name in ("smallest", "largest", "nan", "unused")),
    )


class Weights(ctypes.Structure):
    """Arguments of ``axs_quantise_weights``: the structure of the same name in quantise.c."""

    _fields_ = (
        *((name, c_void_p) for name in ("w", "scale", "zero")),
        *((name, c_int64) for name in ("channels", "lanes", "per_channel")),
        *((name, c_float) for name in ("low", "high")),
        *((name, c_int32) for name in ("minimum", "unused")),
        *((name, c_void_p) for name in ("codes", "inside", "values", "sums", "scales", "zeros")),
    )


class Observation(ctypes.Structure):
    """Arguments of ``axs_observe``: the structure of the same name in quantise.c."""

    _fields_ = (
        ("momentum", c_float),
        *((name, c_int32) for name in ("extend", "first", "low", "high", "symmetric")),
        *((name, c_void_p) for name in ("minimum", "maximum", "scale", "zero")),
    )


def library_path() -> Path | None:
    """Path of the compiled library, or None where none was built."""
    folder = Path(__file__).parent
    candidates = [folder / f"_sums{suffix}" for suffix in EXTENSION_SUFFIXES]
    return next((path for path in candidates if path.is_file()), None)


@cache
def load_library() -> ctypes.CDLL | None:
    """Load the compiled library; None where none was built, or none that can be loaded and is of these sources."""
    path = library_path()
    if path is None:
        return None
    try:
        library = ctypes.CDLL(str(path))
        for structure, size in (
            (Problem, library.axs_problem_size),
            (Quantisation, library.axs_quantisation_size),
            (Weights, library.axs_weights_size),
            (Observation, library.axs_observation_size),
        ):
            size.restype = c_int64
            if size() != ctypes.sizeof(structure):
                return None
        library.axs_features.restype = c_int
        library.axs_pack.argtypes = [c_void_p, c_int64, c_int64, c_int64, c_int32, c_void_p, c_void_p]
        library.axs_pack.restype = c_int
        library.axs_quantise.argtypes = [c_void_p]
        library.axs_quantise.restype = None
        library.axs_observe.argtypes = [c_void_p, c_int64, c_int64, c_void_p, c_void_p, POINTER(Observation)]
        library.axs_observe.restype = c_int
        library.axs_quantise_weights.argtypes = [POINTER(Weights)]
        library.axs_quantise_weights.restype = c_int
        library.axs_dequantise.argtypes = [POINTER(Quantisation), c_void_p]
        library.axs_dequantise.restype = None
        library.axs_mask.argtypes = [c_void_p, c_void_p, c_int64]
        library.axs_mask.restype = None
        library.axs_sums.argtypes = [c_void_p]
        library.axs_sums.restype = None
        library.axs_transform_weights.argtypes = [
            *(c_void_p, c_int64, c_int64, c_void_p, c_void_p),
            *(c_int64, c_int64, c_void_p, c_void_p),
        ]
        library.axs_transform_weights.restype = None
    except (OSError, AttributeError):
        return None
    return library


def require_library() -> ctypes.CDLL:
    """Return the compiled library.

    Raises
    ------
    ConversionError
        If there is none: compiled tables can be made where it is and unpickled where it is not.
    """
    library = load_library()
    if library is None:
        raise ConversionError("the compiled table kernel is not available here; `axsurrogate doctor` says why")
    return library


def available_kernels() -> tuple[str, ...]:
    """Names of the kernels that can run here, in the order of preference; the last is ``"torch"``."""
    library = load_library()
    if library is None:
        return ("torch",)
    features = library.axs_features()
    has = {"avx512-vbmi": features & 2, "avx2": features & 1, "neon": features & 4}
    return tuple(name for name in KERNELS if has.get(name, True))


def has_dot_products() -> bool:
    """Whether the library multiplies factors here: beside the first of the kernels, on processors with VNNI."""
    library = load_library()
    return library is not None and bool(library.axs_features() & 8)


def kernel_is_forced() -> bool:
    """Whether ``AXSURROGATE_TABLE_KERNEL`` names the kernel that runs."""
    return bool(os.environ.get(VARIABLE))


def active_kernel() -> str:
    """Name of the kernel that runs: the one that ``AXSURROGATE_TABLE_KERNEL`` names, else the first that can run here.

    Raises
    ------
    ConversionError
        If the variable names no kernel, or one that cannot run here.
    """
    available = available_kernels()
    wanted = os.environ.get(VARIABLE, "")
    if not wanted:
        return available[0]
    if wanted not in KERNELS:
        raise ConversionError(f"{VARIABLE} must be one of {KERNELS}, got {wanted!r}")
    if wanted not in available:
        raise ConversionError(
            f"{VARIABLE} is {wanted!r}, which cannot run here (available: {', '.join(available)}); "
            f"`axsurrogate doctor` says why"
        )
    return wanted


def kernel_of_rows(kernel: str, row_bytes: int) -> str:
    """Name of the kernel that runs tables of ``row_bytes`` bytes per weight where ``kernel`` is active.

    The time of ``"avx2"`` grows with the bytes of a row, that of ``"portable"`` does not: they are equal at about 512
    (256 entries of two bytes).

    Examples
    --------
    >>> kernel_of_rows("avx2", 256 * 2), kernel_of_rows("avx2", 256 * 3), kernel_of_rows("avx512-vbmi", 256 * 4)
    ('avx2', 'portable', 'avx512-vbmi')
    """
    return "portable" if kernel == "avx2" and row_bytes > 512 else kernel
