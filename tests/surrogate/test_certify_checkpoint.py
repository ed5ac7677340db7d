"""Interrupted certifications: going on gives the certificate of an uninterrupted run, and only where it belongs."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import multipliers
from multipliers import CallableMultiplier, OperandFormat
from surrogate import FitError, Objective, certify, checkpoint, discover
from surrogate.errors import CheckpointError, OracleError

LABEL = "mitchell11u"  # 16 blocks


class Interrupted:
    """Progress that is interrupted after some blocks, and notes how many pairs were done when it was called."""

    def __init__(self, after=10**9, error=KeyboardInterrupt):
        self.after, self.error, self.done = after, error, []

    def __call__(self, done, total):
        self.done.append(done)
        if len(self.done) == self.after:
            raise self.error


@pytest.fixture(scope="module")
def whole():
    """Multiplier, surrogate and certificate of an uninterrupted run; its residuals are no whole numbers."""
    m = multipliers.get(LABEL)
    s = discover(m, "htp")
    assert 0 < s.certificate.mean_abs_residual % 1 < 1
    return m, s.with_certificate(None), s.certificate


@pytest.mark.parametrize("sample", [None, 3_000_000])
@pytest.mark.parametrize("stops", [(1,), (5, 3), (2, 2, 2, 2)], ids=str)
def test_interrupted_runs_end_in_the_same_certificate(whole, tmp_path, stops, sample):
    m, s, _ = whole
    path, done = tmp_path / "c.json", 0
    for after in stops:
        progress = Interrupted(after)
        with pytest.raises(KeyboardInterrupt):
            certify(s, m, sample=sample, checkpoint=path, progress=progress)
        assert progress.done[0] == done + (1 << 18)
        done = progress.done[-1]
        assert sorted(tmp_path.iterdir()) == [path]
    progress = Interrupted()
    found = certify(s, m, sample=sample, checkpoint=path, progress=progress).certificate
    assert progress.done[0] == done + (1 << 18)
    assert found == certify(s, m, sample=sample).certificate
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_interruption_leaves_nothing(whole, tmp_path):
    m, s, expected = whole
    assert certify(s, m, checkpoint=tmp_path / "c.json", workers=1).certificate == expected
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys, time, multipliers, surrogate
from surrogate import checkpoint
checkpoint.SECONDS = 0
m = multipliers.get({label!r})
s = surrogate.discover(m, "htp")
print("certifying", flush=True)
def slow(done, total):
    time.sleep(0.05)
    print(done, flush=True)
surrogate.certify(s, m, checkpoint={path!r}, progress=slow)
"""


def test_a_killed_process_goes_on_where_it_was(whole, tmp_path):
    m, s, expected = whole
    path = tmp_path / "c.json"
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED.format(label=LABEL, path=str(path))], stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdout.readline() == "certifying\n"
        while int(process.stdout.readline()) < 5 << 18:
            pass
        process.kill()
    assert process.returncode == -signal.SIGKILL
    progress = Interrupted()
    assert certify(s, m, checkpoint=path, progress=progress).certificate == expected
    assert 6 << 18 <= progress.done[0] < 1 << 22
    assert not path.exists()


def test_it_is_written_every_few_seconds_and_not_at_every_block(whole, tmp_path, monkeypatch):
    m, s, _ = whole
    writes = []
    monkeypatch.setattr(checkpoint, "write_atomically", lambda *_: writes.append(time.monotonic()))
    certify(s, m, checkpoint=tmp_path / "c.json")
    assert len(writes) == 2 + (writes[-1] - writes[0] >= checkpoint.SECONDS)
    monkeypatch.setattr(checkpoint, "SECONDS", 0)
    writes.clear()
    certify(s, m, checkpoint=tmp_path / "c.json")
    assert len(writes) == 16 + 2


def interrupted(s, m, path, **options):
    with pytest.raises(KeyboardInterrupt):
        certify(s, m, checkpoint=path, progress=Interrupted(2), **options)
    return path.read_bytes()


def test_it_belongs_to_one_surrogate_multiplier_and_sample(whole, tmp_path):
    m, s, _ = whole
    path = tmp_path / "c.json"
    written = interrupted(s, m, path)
    other = multipliers.get("drum10u_k4")
    with pytest.raises(CheckpointError, match=r"belongs to the multiplier 'mitchell11u' \(11u x 11u, .*, not to 'drum"):
        certify(discover(other), other, checkpoint=path)
    more = type(s)((*s.terms, s.terms[0]), s.multiplier, s.provenance)
    with pytest.raises(CheckpointError, match="belongs to another surrogate of mitchell11u; certify that one, give "):
        certify(more, m, checkpoint=path)
    with pytest.raises(CheckpointError, match="is of a comparison of every pair, not of 1000 pairs"):
        certify(s, m, sample=1000, checkpoint=path)
    assert path.read_bytes() == written
    renamed = type(s)(s.terms, replace(s.multiplier, name="renamed"), s.provenance)
    certify(renamed, m, checkpoint=path)  # a name is a label
    assert not path.exists()


def damaged(name, data):
    """One way to spoil a checkpoint."""
    envelope = json.loads(data)
    content = envelope["content"]
    match name:
        case "cut off":
            return data[: len(data) // 2]
        case "a bit":
            return data.replace(b'"blocks": 2', b'"blocks": 3')
        case "no JSON":
            return b"\x00\xff"
        case "other JSON":
            return b"[1, 2]"
        case "no content":
            del envelope["content"]
        case "version":
            envelope["version"] = 2
        case "block":
            content["block_pairs"] = 1 << 20
        case "zero denominator":
            state = next(iter(content["passes"].values()))
            state["residuals"]["total"] = [1, 0]
        case "passes":
            content["passes"] = 7
    if name in ("zero denominator", "passes"):
        envelope["sha256"] = checkpoint._digest(content)
    return json.dumps(envelope).encode()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cut off", "is no complete checkpoint"),
        ("a bit", "was changed or damaged after it was written"),
        ("no JSON", "is no complete checkpoint"),
        ("other JSON", "is not a checkpoint of a certification"),
        ("no content", "is no complete checkpoint"),
        ("version", "was written by another version"),
        ("block", "was written by another version"),
        ("zero denominator", "is no complete checkpoint"),
        ("passes", "is no complete checkpoint"),
    ],
)
def test_damaged_files_are_refused_and_stay(whole, tmp_path, name, message):
    m, s, _ = whole
    path = tmp_path / "c.json"
    spoilt = damaged(name, interrupted(s, m, path))
    path.write_bytes(spoilt)
    with pytest.raises(CheckpointError, match=f"c.json: {message}.*; give another path, or delete the file"):
        certify(s, m, checkpoint=path)
    assert path.read_bytes() == spoilt


def test_a_path_that_cannot_be_written_is_told_before_any_work(whole, tmp_path):
    m, s, _ = whole
    progress = Interrupted()
    with pytest.raises(FileNotFoundError, match="no such folder"):
        certify(s, m, checkpoint=tmp_path / "missing" / "c.json", progress=progress)
    with pytest.raises(IsADirectoryError):
        certify(s, m, checkpoint=tmp_path, progress=progress)
    assert progress.done == []


def test_errors_of_the_multiplier_keep_what_was_done(tmp_path):
    path, broken, done = tmp_path / "c.json", [], []

    def simulated(a, b):
        if broken:
            raise ConnectionError("simulator gone")
        return a * b

    m = CallableMultiplier(simulated, OperandFormat(11), OperandFormat(11))
    s = discover(m).with_certificate(None)

    def progress(pairs, _):
        done.append(pairs)
        if len(done) == 3:
            broken.append(True)

    with pytest.raises(OracleError, match=r"simulated raised ConnectionError at a = \d+, b = 0: simulator gone"):
        certify(s, m, checkpoint=path, progress=progress)
    broken.clear()
    blocks = len(done)
    assert 3 <= blocks < 16
    assert certify(s, m, checkpoint=path, progress=progress).is_exact
    assert done[blocks] == done[blocks - 1] + (1 << 18)
    assert not path.exists()


# ---------------------------------------------------------------- discoveries


def hidden(a, b):
    """Accurate but for exceptions that no sample of a wide table holds."""
    return a * b + 5 * ((a == 1741) & (b == 1003)) - ((a == 13) & (b == 1777))


def test_a_discovery_goes_on_in_whatever_attempt_it_was(tmp_path):
    m = CallableMultiplier(hidden, OperandFormat(11), OperandFormat(11))
    path, progress = tmp_path / "c.json", Interrupted()
    expected = discover(m, progress=progress)
    assert expected.is_exact
    assert len(progress.done) == 32  # two attempts of 16 blocks
    done = []
    for after in (10, 8, 9):
        progress = Interrupted(after)
        with pytest.raises(KeyboardInterrupt):
            discover(m, progress=progress, checkpoint=path)
        done += progress.done
    progress = Interrupted()
    assert discover(m, progress=progress, checkpoint=path) == expected
    assert len(done + progress.done) == 32
    assert not path.exists()


def test_a_discovery_of_something_else_is_refused(tmp_path):
    m, path = multipliers.get("mitchell10u"), tmp_path / "c.json"
    with pytest.raises(KeyboardInterrupt):
        discover(m, "htp", progress=Interrupted(2), checkpoint=path)
    with pytest.raises(CheckpointError, match="belongs to another surrogate"):
        discover(m, "htp", decimals=None, checkpoint=path)
    with pytest.raises(CheckpointError, match="belongs to the multiplier"):
        discover(multipliers.get("drum10u_k4"), checkpoint=path)
    assert discover(m, "htp", checkpoint=path) == discover(m, "htp")
    with pytest.raises(FitError, match="options of a method"):
        discover(m, objective=Objective(max_products=1), checkpoint=path)
