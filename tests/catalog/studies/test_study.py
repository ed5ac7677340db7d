"""Studies are resumed where they were, never mixed with others, and lose nothing."""

import csv
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.studies.study import Study, StudyError

SETTINGS = {"data": "digits", "epochs": 3, "rate": 0.1, "subset": None}


def never():
    raise AssertionError("computed again")


def test_finished_measurements_are_read_and_others_done(tmp_path):
    study = Study.open(tmp_path / "new" / "folder", "some", SETTINGS)
    assert study.rows == []
    row = study.cell({"multiplier": "m", "seed": 0}, lambda: {"accuracy": np.float64(0.5), "n": np.int64(3)})
    assert row == {"multiplier": "m", "seed": 0, "accuracy": 0.5, "n": 3}
    assert study.cell({"seed": 0, "multiplier": "m"}, never) == row
    again = Study.open(study.folder, "some", dict(reversed(SETTINGS.items())))
    assert again.cell({"multiplier": "m", "seed": 0}, never) == row
    assert not again.is_done({"multiplier": "m", "seed": 1})
    again.cell({"multiplier": "m", "seed": 1}, lambda: {"accuracy": math.nan})
    assert [row["accuracy"] for row in Study.open(study.folder, "some", SETTINGS).rows] == [0.5, None]


def test_what_fails_is_not_kept(tmp_path):
    study = Study.open(tmp_path, "some", {})
    with pytest.raises(ZeroDivisionError):
        study.cell({"x": 1}, lambda: {"y": 1 / 0})
    assert not study.is_done({"x": 1})
    assert study.cell({"x": 1}, lambda: {"y": 2})["y"] == 2


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (SETTINGS | {"epochs": 5}, "epochs is 3 there, 5 now"),
        (SETTINGS | {"subset": 10, "rate": 0.2}, "rate is 0.1 there, 0.2 now; subset is null there, 10 now"),
        ({"data": "digits", "epochs": 3, "rate": 0.1}, "subset is null there, not given now"),
        (SETTINGS | {"new": 1}, "new is not given there, 1 now"),
    ],
)
def test_other_settings_are_refused_and_nothing_is_changed(tmp_path, other, message):
    study = Study.open(tmp_path, "some", SETTINGS)
    study.cell({"x": 1}, lambda: {"y": 2})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StudyError, match=f"{message}; nothing is changed"):
        Study.open(tmp_path, "some", other)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folders_of_others_are_refused(tmp_path):
    Study.open(tmp_path / "study", "some", SETTINGS)
    with pytest.raises(StudyError, match="holds the study 'some', not 'another'"):
        Study.open(tmp_path / "study", "another", SETTINGS)
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs" / "results.csv").write_text("mine")
    with pytest.raises(StudyError, match="holds other files and no study"):
        Study.open(tmp_path / "photographs", "some", SETTINGS)
    assert [path.name for path in (tmp_path / "photographs").iterdir()] == ["results.csv"]
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="is no folder"):
        Study.open(tmp_path / "file", "some", SETTINGS)


def test_damage_is_told_with_file_and_line(tmp_path):
    study = Study.open(tmp_path, "some", SETTINGS)
    for x in range(3):
        study.cell({"x": x}, lambda: {"y": 1})
    path = tmp_path / "cells.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:2], b'{"key": 3}', *lines[3:]]))
    with pytest.raises(StudyError, match=r"cells.jsonl: line 3 is damaged"):
        Study.open(tmp_path, "some", SETTINGS)
    path.write_bytes(b"\n".join(lines)[:-4])  # interrupted while the last line was written
    assert len(Study.open(tmp_path, "some", SETTINGS).rows) == 2
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(StudyError, match=r"settings.json: is damaged"):
        Study.open(tmp_path, "some", SETTINGS)
    (tmp_path / "settings.json").write_text(json.dumps({"study": "some", "version": 99, "settings": {}}))
    with pytest.raises(StudyError, match="has version 99"):
        Study.open(tmp_path, "some", SETTINGS)


def test_values_are_plain_and_named_once(tmp_path):
    study = Study.open(tmp_path, "some", {})
    with pytest.raises(ValueError, match="plain values"):
        study.cell({"x": 1}, lambda: {"y": object()})
    with pytest.raises(ValueError, match="both have x"):
        study.cell({"x": 1}, lambda: {"x": 2})
    assert study.rows == []


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
plain = st.one_of(st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False), names, st.none(), st.booleans())


@settings(max_examples=20)
@given(rows=st.lists(st.dictionaries(names, plain, max_size=4), max_size=5))
def test_tables_hold_every_row(tmp_path_factory, rows):
    study = Study.open(tmp_path_factory.mktemp("study"), "some", SETTINGS)
    for number, row in enumerate(rows):
        study.cell({"number of row": number}, lambda row=row: row)
    table, data = study.write_tables()
    assert json.loads(data.read_bytes()) == {"study": "some", "settings": SETTINGS, "rows": study.rows}
    with table.open(newline="", encoding="utf-8") as file:
        shown = list(csv.DictReader(file))
    assert [row["number of row"] for row in shown] == [str(i) for i in range(len(rows))]
    for row, given_row in zip(shown, rows, strict=True):
        for name, value in row.items():
            expected = given_row.get(name)
            if name != "number of row":
                assert value == ("" if expected is None else str(expected))


def test_chosen_rows_are_written_under_a_name_of_their_own(tmp_path):
    study = Study.open(tmp_path, "some", SETTINGS)
    table, _ = study.write_tables([{"a": 1}, {"b": math.inf, "a": 2}], "summary")
    assert table.name == "summary.csv"
    assert table.read_text() == "a,b\n1,\n2,\n"
