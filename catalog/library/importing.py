"""Importing a folder of circuits: EvoApproxLib, or any C and Verilog."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from catalog.library.measuring import Failure, Outcome, Task, read_and_measure
from catalog.library.reading import LANGUAGES, find_files, name_of
from catalog.library.records import digest_of
from catalog.library.schema import LibraryError
from catalog.library.store import Library
from multipliers.errors import NetlistError, ParameterError
from multipliers.metric_values import Comparison
from multipliers.readers.yosys_run import find_yosys, prepare_yosys

DEFAULT_SAMPLE = 1 << 20
"""Operand pairs of a sampled comparison: a quarter of what `multipliers.metrics` draws, for there are many circuits."""

Progress = Callable[[int, int, str], None]
"""Called with the number of files done, of files in all, and the name of the circuit that was done."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes
    ----------
    folder : Path
    release : str
    n_files : int
        Circuit files found.
    imported, unchanged : int
        Files that were read and stored, and those stored before as they are.
    left_out : tuple of (str, int)
        Languages that were not read, why, and how many files.
    failures : tuple of Failure
        Files that could not be read.
    time_s : float
    """

    folder: Path
    release: str
    n_files: int
    imported: int
    unchanged: int
    left_out: tuple[tuple[str, int], ...]
    failures: tuple[Failure, ...]
    time_s: float


def default_release(folder: Path) -> str:
    """Return how an import names a folder: by its name, and ``@branch`` if it is a Git checkout."""
    folder = folder.resolve()
    name = os.fsencode(folder.name).decode("utf-8", errors="backslashreplace") or "library"
    try:
        head = (folder / ".git" / "HEAD").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return name
    branch = head.removeprefix("ref: refs/heads/")
    return f"{name}@{branch if branch != head else head[:10]}"


def import_folder(
    folder: str | Path,
    library: Library,
    *,
    release: str | None = None,
    wide: Comparison = "sampled",
    sample: int = DEFAULT_SAMPLE,
    jobs: int | None = None,
    run_code: bool = True,
    progress: Progress | None = None,
) -> ImportReport:
    """Import the circuits of a folder. **C files are compiled and run**, unless ``run_code`` is false.

    Files of one name are one circuit, stored as soon as it is measured; an interrupted import is continued by another.

    Parameters
    ----------
    folder : str or Path
        An EvoApproxLib checkout, any folder with C and Verilog, or one such file. Operand formats are those that the
        name of a file states (``mul8u_X``), else that of a folder (``8x8_unsigned``); those of Verilog without either
        are found by comparison with the exact product.
    library : Library
        Where to store them.
    release : str, optional
        What to call the folder; `default_release` by default.
    wide : {"sampled", "streamed"}
        How to compare circuits of more than 2**20 operand pairs; narrower ones are compared exhaustively.
    sample : int
        Operand pairs of a sampled comparison.
    jobs : int, optional
        Processes; one per processor by default. With 1 everything runs in this process.
    run_code : bool
        Whether to read C files.
    progress : callable, optional
        Called as ``progress(files_done, files_in_all, name)``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ParameterError
        If ``wide``, ``sample`` or ``jobs`` is out of range.
    LibraryError
        If no file of the folder can be read as a multiplier, the library cannot be written, or a process is killed.
        What was imported until then is stored.
    """
    started = time.perf_counter()
    folder = Path(folder)
    if wide not in ("sampled", "streamed"):
        raise ParameterError(f"wide must be 'sampled' or 'streamed', got {wide!r}")
    for name, value in (("sample", sample), ("jobs", 1 if jobs is None else jobs)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ParameterError(f"{name} must be an integer from 1, got {value!r}")
    if not folder.exists():
        raise FileNotFoundError(f"cannot import {str(folder)!r}: it does not exist")
    found = circuit_files(folder)
    if not found:
        raise LibraryError(
            f"{str(folder)!r} is no library of circuits: it holds no file ending in {', '.join(sorted(LANGUAGES))}"
        )
    release = default_release(folder if folder.is_dir() else folder.parent) if release is None else release
    left_out = dict(_unreadable(run_code))
    files = [path for path in found if LANGUAGES[path.suffix.lower()] not in left_out]
    enough = ("exhaustive", "streamed", "sampled") if wide == "sampled" else ("exhaustive", "streamed")
    changed, failures = [], []
    for path in files:
        try:
            if not library.is_stored(path, digest_of(path.read_bytes()), release, enough):
                changed.append(path)
        except OSError as error:
            failures.append(Failure(path, error.strerror or str(error)))
    unchanged = len(files) - len(changed) - len(failures)
    tasks = [Task(paths, release, wide, sample) for paths in _by_name(changed)]
    imported = 0
    with closing(_run(tasks, _processors() if jobs is None else jobs)) as outcomes:
        for task, outcome in outcomes:
            if outcome.circuits:
                library.add_all(outcome.circuits)
            failures += outcome.failures
            imported += sum(len(sources) for _, sources in outcome.circuits)
            if progress is not None:
                progress(unchanged + imported + len(failures), len(files), name_of(task.paths[0]))
    skipped = tuple(
        (why, sum(LANGUAGES[p.suffix.lower()] == language for p in found)) for language, why in left_out.items()
    )
    if not imported + unchanged:
        reasons = [f"{failure.path}: {failure.message}" for failure in failures[:3]] or [why for why, n in skipped if n]
        raise LibraryError(
            f"{str(folder)!r} is no library of circuits: none of its {len(found)} C and Verilog files could be read; "
            f"{'; '.join(reasons)}"
        )
    return ImportReport(
        folder=folder,
        release=release,
        n_files=len(found),
        imported=imported,
        unchanged=unchanged,
        left_out=tuple((why, n) for why, n in skipped if n),
        failures=tuple(sorted(failures, key=lambda failure: failure.path)),
        time_s=time.perf_counter() - started,
    )


def circuit_files(folder: Path) -> list[Path]:
    """Return the absolute paths of the circuit files of a folder, or the path of one such file."""
    if folder.is_dir():
        return list(find_files(folder.absolute()))
    return [folder.absolute()] if folder.suffix.lower() in LANGUAGES else []


def _unreadable(run_code: bool) -> Iterator[tuple[str, str]]:
    """Yield the languages that cannot be read, and why."""
    if not run_code:
        yield "c", "C files were not compiled and run, as asked"
    try:
        find_yosys()
    except NetlistError as error:
        yield "verilog", f"{error}"


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _by_name(paths: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Group the files of one circuit: C first, then the netlist as designed, then the mapped one."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(paths, key=lambda p: (LANGUAGES[p.suffix.lower()], "pdk45" in p.stem, p)):
        groups.setdefault(name_of(path), []).append(path)
    return [tuple(group) for group in groups.values()]


def _run(tasks: Sequence[Task], jobs: int) -> Generator[tuple[Task, Outcome], None, None]:
    """Do tasks in processes, and yield them as they are done; temporary files go with the last."""
    if min(jobs, len(tasks)) <= 1:
        for task in tasks:
            yield task, read_and_measure(task)
        return
    cache = None
    if any(LANGUAGES[path.suffix.lower()] == "verilog" for task in tasks for path in task.paths):
        cache = prepare_yosys()  # once, before several processes need it
    with tempfile.TemporaryDirectory(prefix="axsurrogate_import_", ignore_cleanup_errors=True) as temporary:
        others = set(multiprocessing.active_children())
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(jobs, len(tasks)), context, initializer=_prepare, initargs=(temporary, cache))
        try:
            futures = {pool.submit(_do, task): task for task in tasks}
            for future in as_completed(futures):
                yield futures.pop(future), future.result()
        except BaseException as error:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise LibraryError(
                    "a process of the import ended unexpectedly; what was imported is stored. If the memory is full, "
                    "import again with fewer jobs; a script that imports needs an: if __name__ == '__main__'"
                ) from None
            raise
        finally:
            pool.shutdown(cancel_futures=True)


_stopping = False


def _prepare(temporary: str, cache: str | None) -> None:
    """Set up a process: temporary files lie where the parent removes them, and interrupts are the parent's."""
    if cache is not None:
        os.environ["YOWASP_CACHE_DIR"] = cache
    tempfile.tempdir = temporary
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)


def _stop(*_: object) -> None:
    """End the task in hand, so that it ends the programs that it runs, and do no other."""
    global _stopping
    _stopping = True
    raise SystemExit


def _do(task: Task) -> Outcome:
    return Outcome() if _stopping else read_and_measure(task)
