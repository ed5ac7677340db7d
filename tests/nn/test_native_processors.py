"""Table kernels of every processor, also of those that Python does not run on here, as programs of their own.

A small C program (native/run_kernel.c) is linked with the kernels and given random problems: for ARM by a
cross-compiler and run by an emulator, for this machine under the address and undefined-behaviour sanitisers. The whole
library runs under these too, loaded by Python, where it may touch nothing beyond the tensors that it is given; and as
it is installed, on emulated processors that have fewer instructions than this one.
"""

import itertools
import os
import platform
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest

import surrogate.nn.native
from surrogate.nn.native import library

SOURCES = Path(surrogate.nn.native.__file__).parent
DRIVER = Path(__file__).parent / "native" / "run_kernel.c"
POSITIONS = 256
HOST_COMPILER = os.environ.get("CC", "cc")
ARM_COMPILER, ARM_EMULATOR, X86_EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64", "qemu-x86_64"
SANITISERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
OLDER = {"Haswell": "avx2", "Haswell,-avx2": "portable"}  # names of an emulator; the kernel that each prefers
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
def sanitised_library(tmp_path_factory):
    """Path of the whole library, made for this machine under sanitisers."""
    require(HOST_COMPILER)
    path = tmp_path_factory.mktemp("sanitised") / f"_sums{EXTENSION_SUFFIXES[0]}"
    shared = ("-shared", "-fPIC", "-fno-trapping-math", "-ffp-contract=off")
    compile_c(HOST_COMPILER, SOURCES.glob("*.c"), *SANITISERS, *shared, "-o", str(path))
    return path


@pytest.fixture(scope="module")
def sanitised(sanitised_library):
    """Command that runs the driver for this machine under sanitisers."""
    program = sanitised_library.with_name("run_kernel")
    compile_c(HOST_COMPILER, [DRIVER, sanitised_library], *SANITISERS, "-o", str(program))
    return [str(program)]


@pytest.fixture
def in_sanitised_python(sanitised_library):
    """Call that runs code in a Python of its own, with the whole library under sanitisers."""
    runtimes = " ".join(find_runtime(f"lib{name}.so") for name in ("asan", "ubsan"))
    environment = {**os.environ, "LD_PRELOAD": runtimes, "ASAN_OPTIONS": "detect_leaks=0"}  # Python leaks
    path = str(sanitised_library.with_name("library.py"))

    def run(code):
        redirected = f"from surrogate.nn.native import library; library.__file__ = {path!r}; {code}"
        return subprocess.run([sys.executable, "-c", redirected], capture_output=True, text=True, env=environment)

    return run


def find_runtime(name):
    command = [HOST_COMPILER, f"-print-file-name={name}"]
    path = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    if not path.is_absolute():
        pytest.skip(f"{HOST_COMPILER} has no {name}")
    return str(path)


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


def call_of_tests(chosen):
    """Code that runs the tests of sums and of whole layers that an expression chooses."""
    names = ("test_native.py", "test_native_products.py", "test_compiled_layers.py")
    files = [str(Path(__file__).with_name(name)) for name in names]
    arguments = [*files, "-k", chosen, "-q", "-p", "no:cacheprovider"]
    return f"import sys, pytest; sys.exit(pytest.main({arguments!r}))"


@pytest.mark.slow
def test_the_library_touches_nothing_beyond_its_tensors(in_sanitised_python):
    """Tests of sums and of whole layers, on convolutions of many shapes, by every kernel of this processor."""
    chosen = "test_any_shape and (4u or 6s) or test_layer and unsigned and padded or test_sums_at_the_end"
    done = in_sanitised_python(call_of_tests(chosen))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.slow
def test_the_sanitisers_see_what_is_read_beyond_a_tensor(in_sanitised_python):
    """The library reads some bytes behind packed activations, which must be there."""
    done = in_sanitised_python(
        "import torch; from surrogate.nn.native import sums, NativeTable; "
        "from surrogate.nn.geometry import Convolution; sums.SLACK = 0; "
        "table = NativeTable(torch.ones((256, 256), dtype=torch.int64), 'portable'); "
        "weights = table.prepare(torch.zeros((4, 3, 3, 3), dtype=torch.int64), 1); "
        "table.sums(torch.zeros((2, 7, 9, 3), dtype=torch.int32), weights, Convolution((3, 3)))"
    )
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("processor", OLDER)
def test_sums_and_layers_on_older_processors(processor):
    require(X86_EMULATOR)
    if platform.machine() != "x86_64" or library.load_library() is None:
        pytest.skip("no compiled library, or not of x86")
    code = f"from surrogate.nn.native import active_kernel; assert active_kernel() == {OLDER[processor]!r}; "
    code += call_of_tests("test_any_shape and 4u and grouped or test_layer and unsigned and padded")
    command = [X86_EMULATOR, "-cpu", processor, sys.executable, "-c", code]
    environment = {name: value for name, value in os.environ.items() if name != library.VARIABLE}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
