"""``python -m catalog.build``: measure the catalog's entries, and write what the package ships of it.

It writes ``catalog/measured.json`` and the table of designs, ``docs/reference/designs.md``; the surrogates of the
designs of up to 8 bits, ``catalog/surrogates/``, and their table, ``docs/reference/surrogates.md``. Entries that are
stored and whose check value is unchanged are not done again, unless ``--all`` says so, or where fitting has changed
``--surrogates``.
``--check`` does every entry anew and compares the files byte for byte (measurements are stored to ten significant
digits; for approximate surrogates see `catalog.shipping`); nothing is written.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from catalog import shipping
from catalog.catalog import Entry, FloatEntry, families
from catalog.designs_page import designs_page
from catalog.measure import Progress, attempt_all, measure_all
from catalog.measured import Measured, MeasurementError, dump, parse
from catalog.shipped import label_of
from catalog.surrogates_page import surrogates_page
from multipliers.files import write_atomically
from surrogate.model import Surrogate

CATALOG = Path(__file__).resolve().parent
REFERENCE = CATALOG.parent / "docs" / "reference"
MEASURED, PAGE = CATALOG / "measured.json", REFERENCE / "designs.md"
SURROGATES, SURROGATES_PAGE = CATALOG / "surrogates", REFERENCE / "surrogates.md"


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
    """Run the command; return its exit code: 0 done, 1 something differs or could not be done."""
    options = _options(arguments)
    known = known_entries()
    chosen = [known[label] for label in known if fnmatch.fnmatch(label, options.only)]
    if not chosen:
        return _report([f"no entry of the catalog matches {options.only!r}"])
    stored = read()
    shipped, unreadable = shipping.read(SURROGATES)
    measured, unmeasured = _measure(options, chosen, stored)
    made, unmade = _make(options, chosen, shipped)
    failed = [f"{label}: {error}" for label, error in (unmeasured | unmade).items()]
    if options.check:
        wrong = [*differences(measured, stored), *stale_files(stored)]
        wrong += [*shipping.differences(made, shipped), *unreadable, *stale_surrogates(shipped, stored)]
        print(f"checked {len(measured)} of {len(known)} entries, {len(made)} surrogates", file=sys.stderr)
        return _report(failed + wrong)
    kept = {label: m for label, m in _valid(stored).items() if label not in unmeasured} | measured
    write_atomically(MEASURED, dump(kept))
    print(f"measured {len(measured)} of {len(known)} entries; wrote {MEASURED.name}", file=sys.stderr)
    shipped = _merged(shipped, made, unmade)
    shipping.write(shipped, SURROGATES)
    print(f"made {len(made)} of {len(shipped)} surrogates; wrote {SURROGATES.name}", file=sys.stderr)
    missing = sorted(set(known) - set(kept)) + shipping.missing(shipped)
    if missing:
        which = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        return _report([*failed, f"no page is written: {len(missing)} entries are not done ({which})"])
    write_atomically(PAGE, designs_page(kept).encode())
    write_atomically(SURROGATES_PAGE, surrogates_page(kept, shipped).encode())
    print(f"wrote {PAGE.name} and {SURROGATES_PAGE.name}", file=sys.stderr)
    return _report(failed)


def _report(errors: Sequence[str]) -> int:
    for line in errors:
        print(f"error: {line}", file=sys.stderr)
    return 1 if errors else 0


def _valid(stored: Mapping[str, Measured]) -> dict[str, Measured]:
    """Return the measurements that are of entries as they are now."""
    known = known_entries()
    return {label: m for label, m in stored.items() if label in known and m.check == known[label].check}


def _measure(
    options: argparse.Namespace, chosen: Sequence[Entry | FloatEntry], stored: Mapping[str, Measured]
) -> tuple[dict[str, Measured], dict[str, Exception]]:
    """Measure the entries that are not up to date, or all that were chosen."""
    valid = _valid(stored)
    streamed = [
        entry.label
        for entry in chosen
        if options.every_pair or (entry.label in valid and valid[entry.label].metrics.comparison == "streamed")
    ]
    if not (options.all or options.check):
        chosen = [entry for entry in chosen if not _is_up_to_date(entry, valid, options.every_pair)]
    with _bar() as progress:
        found, failed = measure_all(chosen, streamed, options.workers, progress)
    return rounded(found), failed


def _make(
    options: argparse.Namespace, chosen: Sequence[Entry | FloatEntry], shipped: shipping.Shipped
) -> tuple[dict[str, Surrogate], dict[str, Exception]]:
    """Make the surrogates of the entries that have none that is theirs, or of all that were chosen."""
    labels = {entry.label for entry in chosen}
    wanted = [entry for entry in shipping.shipped_entries() if entry.label in labels]
    if not (options.all or options.check or options.surrogates):
        theirs = {label_of(name): s.multiplier.fingerprint for name, s in shipped.items()}
        wanted = [entry for entry in wanted if theirs.get(entry.label) != entry.check]
    processes = min(options.workers or os.cpu_count() or 1, len(wanted))
    with _bar() as progress:
        made, failed = attempt_all(shipping.make, wanted, processes, progress)
    return {name: s for found in made.values() for name, s in found.items()}, failed


def _merged(shipped: shipping.Shipped, made: shipping.Shipped, failed: Collection[str]) -> dict[str, Surrogate]:
    """Replace what was made anew, and drop what could not be made or is of no entry."""
    dropped = {label_of(name) for name in made} | set(failed)
    kept = {entry.label for entry in shipping.shipped_entries()} - dropped
    return {name: s for name, s in shipped.items() if label_of(name) in kept} | shipping.settled(made, shipped)


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


def stale_surrogates(shipped: shipping.Shipped, stored: Mapping[str, Measured]) -> list[str]:
    """Say what is wrong with the surrogates as a whole: some that came or went or are of other products, the page."""
    known = {entry.label: entry for entry in shipping.shipped_entries()}
    lines = [
        f"surrogates: there is none of {label}; run python -m catalog.build" for label in shipping.missing(shipped)
    ]
    for name, found in shipped.items():
        if label_of(name) not in known:
            lines.append(f"surrogate {name}: the catalog has no such entry; run python -m catalog.build")
        elif found.multiplier.fingerprint != known[label_of(name)].check:
            lines.append(f"surrogate {name}: is of other products than the entry; run python -m catalog.build")
    if not lines and set(known) <= set(stored):
        page = surrogates_page(stored, shipped).encode()
        if not SURROGATES_PAGE.is_file() or SURROGATES_PAGE.read_bytes() != page:
            lines.append(f"{SURROGATES_PAGE.name} is not the page of these surrogates; run python -m catalog.build")
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
    parser.add_argument("--surrogates", action="store_true", help="make every surrogate anew (half a minute)")
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
