"""Files appear whole or not at all."""

import errno
import os

import pytest

from multipliers.files import write_atomically


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_bytes_and_writers(tmp_path):
    path = tmp_path / "data.bin"
    assert write_atomically(path, b"one") == path
    assert path.read_bytes() == b"one"
    write_atomically(str(path), lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two"
    assert listing(tmp_path) == ["data.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "data.bin"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert listing(tmp_path) == ["data.bin"]


def test_places_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        write_atomically(tmp_path / "missing" / "x", b"")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_atomically(tmp_path, b"")


def test_long_names_fit(tmp_path):
    path = tmp_path / ("n" * 250)
    write_atomically(path, b"x")
    assert listing(tmp_path) == [path.name]


def test_a_full_disk_is_named_with_the_file(tmp_path, monkeypatch):
    path = tmp_path / "data.bin"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="cannot be written: No space left on device") as caught:
        write_atomically(path, b"new")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_bytes() == b"old"
    assert listing(tmp_path) == ["data.bin"]


def test_errors_of_other_files_keep_their_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(tmp_path / "data.bin", lambda file: file.write((tmp_path / "input").read_bytes()))
    assert caught.value.filename == str(tmp_path / "input")
    assert listing(tmp_path) == []
