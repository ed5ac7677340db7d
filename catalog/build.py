"""``python -m catalog.build``: measure the catalog's entries, and write what the package ships of it.

It writes ``catalog/measured.json`` and the table of designs, ``docs/designs.md``. Entries whose measurement is stored
and whose check value is unchanged are not measured again, unless ``--all`` says so. ``--check`` measures every entry
anew and compares both files byte for byte (numbers are stored to ten significant digits); nothing is written.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from catalog.catalog import Entry, FloatEntry, families
from catalog.designs_page import designs_page
from catalog.measure import Progress, measure_all
from catalog.measured import Measured, MeasurementError, dump, parse
from multipliers.files import write_atomically

CATALOG = Path(__file__).resolve().parent
MEASURED, PAGE = CATALOG / "measured.json", CATALOG.parent / "docs" / "designs.md"


def known_entries() -> dict[str, Entry | FloatEntry]:
    """Return what is measured, by label."""
    return {entry.label: entry for family in families() for entry in family.members}


def rounded(found: Mapping[str, Measured]) -> dict[str, Measured]:
    """Return measurements as they are stored."""
    return parse(dump(found))


def read() -> dict[str, Measured]:
    """Read what is stored; that is nothing where there is no file, or one that cannot be read."""
    try:
        return parse(MEASURED.read_bytes())
    except FileNotFoundError:
        return {}
    except MeasurementError as error:
        print(f"warning: {error}", file=sys.stderr)
        return {}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 something differs or could not be measured."""
    options = _options(arguments)
    stored = read()
    known = known_entries()
    valid = {label: m for label, m in stored.items() if label in known and m.check == known[label].check}
    chosen = [known[label] for label in known if fnmatch.fnmatch(label, options.only)]
    if not chosen:
        print(f"error: no entry of the catalog matches {options.only!r}", file=sys.stderr)
        return 1
    streamed = [
        entry.label
        for entry in chosen
        if options.every_pair or (entry.label in valid and valid[entry.label].metrics.comparison == "streamed")
    ]
    if not (options.all or options.check):
        chosen = [entry for entry in chosen if not _is_up_to_date(entry, valid, options.every_pair)]
    with _bar() as progress:
        found, failed = measure_all(chosen, streamed, options.workers, progress)
    for label, error in failed.items():
        print(f"error: {label}: {error}", file=sys.stderr)
    found = rounded(found)
    if options.check:
        wrong = [*differences(found, stored), *stale_files(stored)]
        for line in wrong:
            print(f"error: {line}", file=sys.stderr)
        print(f"checked {len(found)} of {len(known)} entries", file=sys.stderr)
        return 1 if wrong or failed else 0
    kept = {label: m for label, m in valid.items() if label not in failed} | found
    write_atomically(MEASURED, dump(kept))
    print(f"measured {len(found)} of {len(known)} entries; wrote {MEASURED.name}", file=sys.stderr)
    missing = sorted(set(known) - set(kept))
    if missing:
        which = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        print(f"error: {PAGE.name} is not written: {len(missing)} entries are not measured ({which})", file=sys.stderr)
        return 1
    write_atomically(PAGE, designs_page(kept).encode())
    print(f"wrote {PAGE.name}", file=sys.stderr)
    return 1 if failed else 0


def differences(found: Mapping[str, Measured], stored: Mapping[str, Measured]) -> list[str]:
    """Say where measurements are not those stored, a line for each entry that differs."""
    lines = []
    for label, measured in found.items():
        if label not in stored:
            lines.append(f"{label}: no measurement is stored; run python -m catalog.build")
        elif dump({label: measured}) != dump({label: stored[label]}):
            new, old = _flat(measured.to_dict()), _flat(stored[label].to_dict())
            fields = [f"{name} {old.get(name)} -> {new.get(name)}" for name in new if new[name] != old.get(name)]
            lines.append(f"{label}: measured anew, {'; '.join(fields[:4])}{'; ...' if len(fields) > 4 else ''}")
    return lines


def stale_files(stored: Mapping[str, Measured]) -> list[str]:
    """Say what is wrong with the files as wholes: bytes that are not canonical, entries that came or went, the page."""
    lines = []
    known = known_entries()
    if not MEASURED.is_file() or MEASURED.read_bytes() != dump(stored):
        lines.append(f"{MEASURED.name} is not what this version writes; run python -m catalog.build")
    gone = sorted(set(stored) - set(known))
    if gone:
        lines.append(f"{MEASURED.name} holds entries that the catalog has not: {', '.join(gone)}")
    stale = sorted(label for label, m in known.items() if label not in stored or stored[label].check != m.check)
    if stale:
        lines.append(f"{MEASURED.name} lacks or holds stale measurements of {', '.join(stale)}")
    elif not PAGE.is_file() or PAGE.read_bytes() != designs_page(stored).encode():
        lines.append(f"{PAGE.name} is not the page of these measurements; run python -m catalog.build")
    return lines


def _flat(data: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _is_up_to_date(entry: Entry | FloatEntry, valid: Mapping[str, Measured], every_pair: bool) -> bool:
    wanted = every_pair and isinstance(entry, Entry)
    return entry.label in valid and not (wanted and valid[entry.label].metrics.comparison == "sampled")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m catalog.build", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--check", action="store_true", help="measure anew, compare with the files, write nothing")
    parser.add_argument("--all", action="store_true", help="measure every entry anew")
    parser.add_argument("--every-pair", action="store_true", help="compare every pair above 2^24, too (minutes each)")
    parser.add_argument("--only", metavar="PATTERN", default="*", help="only these entries, such as 'drum16*'")
    parser.add_argument("--workers", metavar="N", type=int, help="processes; one per processor by default")
    return parser.parse_args(arguments)


@contextmanager
def _bar() -> Iterator[Progress]:
    """Show a bar on stderr, on a terminal only."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def advance(done: int, in_all: int, label: str) -> None:
            bar.update(task, completed=done, total=in_all, description=label)

        yield advance


if __name__ == "__main__":
    sys.exit(main())
