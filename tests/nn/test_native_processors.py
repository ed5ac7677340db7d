"""Table kernels of every processor, also of those that Python does not run on here, as programs of their own.

A small C program (native/run_kernel.c) is linked with the kernels and given random problems: for ARM by a
cross-compiler and run by an emulator, for this machine under the address and undefined-behaviour sanitisers.
"""

import itertools
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import surrogate.nn.native

SOURCES = Path(surrogate.nn.native.__file__).parent
DRIVER = Path(__file__).parent / "native" / "run_kernel.c"
POSITIONS = 256
ARM_COMPILER, ARM_EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
FEATURES = {"avx2": 1, "avx512-vbmi": 2, "neon": 4}  # bits of axs_features()


def require(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def compile_c(compiler, sources, *options):
    command = [compiler, "-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES}", *options, *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True)
    if "cannot find" in done.stderr and "san" in done.stderr:
        pytest.skip(f"{compiler} has no sanitisers: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr


def problem(generator, planes, size, half, masked, lanes, positions, kernel):
    """Bytes that the driver reads, and the sums that it must write."""
    weights = int(generator.integers(1, 257))
    first, stride = size if half == "upper" else 0, 2 * size if half else size
    entries = generator.integers(0, 256, (weights, planes, stride), dtype=np.uint8)
    entries[generator.random(entries.shape) < 0.5] = 255  # sums near the limit of their accumulators
    panel = generator.integers(0, 256, (lanes, POSITIONS), dtype=np.uint8)
    keep = generator.integers(0, 2, (lanes, POSITIONS), dtype=np.uint8) * np.uint8(255)
    w = generator.integers(0, weights, lanes, dtype=np.uint8)
    values = sum(entries[:, p, first : first + size].astype(np.int64) << 8 * p for p in range(planes))
    found = values[w[:, None], panel & (size - 1)] * ((keep == 255) if masked else 1)
    if kernel == "portable":  # whole entries of 32 bits, 256 of them
        entries, first, planes, size, stride = np.tile(values, 256 // size).astype("<u4"), 0, 4, 256, 256
    header = np.array([planes, size, stride, first, weights, lanes, positions, masked], dtype="<i8")
    parts = (header, entries, panel, *([keep] if masked else []), w)
    return b"".join(part.tobytes() for part in parts), found[:, :positions].sum(axis=0) % (1 << 32)


def problems(kernel):
    generator = np.random.default_rng(7)
    lengths = itertools.cycle([(1, 1), (256, 256), (3, 17), (255, 64), (31, 65), (2, 255), (77, 128)])
    return [
        problem(generator, planes, size, half, masked, *next(lengths), kernel)
        for planes, size, masked in itertools.product((1, 2, 3, 4), (64, 128, 256), (0, 1))
        for half in ((None, "lower", "upper") if size == 128 else (None, None))
    ]


def features(command):
    return int(subprocess.run([*command, "features"], capture_output=True, check=True).stdout)


def check(command, kernel):
    given, expected = zip(*problems(kernel), strict=True)
    done = subprocess.run([*command, kernel], input=b"".join(given), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_array_equal(np.frombuffer(done.stdout, dtype="<u4"), np.concatenate(expected))


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    """Command that runs the driver for 64-bit ARM."""
    require(ARM_COMPILER, ARM_EMULATOR)
    program = tmp_path_factory.mktemp("arm") / "run_kernel"
    compile_c(ARM_COMPILER, [DRIVER, *SOURCES.glob("*.c")], "-static", "-o", str(program))
    return [ARM_EMULATOR, str(program)]


@pytest.fixture(scope="module")
def sanitised(tmp_path_factory):
    """Command that runs the driver for this machine under sanitisers."""
    compiler = os.environ.get("CC", "cc")
    require(compiler)
    program = tmp_path_factory.mktemp("sanitised") / "run_kernel"
    options = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", str(program))
    compile_c(compiler, [DRIVER, *SOURCES.glob("*.c")], *options)
    return [str(program)]


@pytest.mark.parametrize("kernel", ["neon", "portable"])
def test_kernels_for_arm_under_emulation(arm, kernel):
    check(arm, kernel)


def test_arm_always_has_neon(arm):
    assert features(arm) == FEATURES["neon"]


@pytest.mark.parametrize("kernel", ["portable", *FEATURES])
def test_kernels_touch_nothing_beyond_their_operands(sanitised, kernel):
    if kernel in FEATURES and not features(sanitised) & FEATURES[kernel]:
        pytest.skip(f"the processor lacks the instructions of kernel {kernel}")
    check(sanitised, kernel)


def test_the_driver_refuses_what_it_cannot_run(sanitised):
    for arguments, given, message in (
        (["mmx"], b"", b"name one kernel"),
        (["portable"], np.array([4, 256, 256, 0, 1, 1, 1, 0], dtype="<i8").tobytes(), b"ends within a problem"),
    ):
        done = subprocess.run([*sanitised, *arguments], input=given, capture_output=True)
        assert done.returncode != 0
        assert message in done.stderr
