"""Artefacts are held against what lies beside them: 0 of the ways to damage one goes on in silence."""

from __future__ import annotations

import hashlib
import json
import os
import sys

import pytest

from vidkd import artefacts
from vidkd.artefacts import check, file_sha256, read_json, write_sidecar
from vidkd.config.training import TrainingSettings
from vidkd.errors import UserError
from vidkd.evaluate.tables import read_csv
from vidkd.files import write_text
from vidkd.provenance import code_digest

TABLE = "video_id,label_id,pred\na,0,0\nb,1,0\nc,1,1\n"
DAMAGES = {
    "a bit": lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:],
    "cut at a line end": lambda content: content[: content.rindex(b"\n", 0, -1) + 1],
    "a row twice": lambda content: content + content.splitlines(keepends=True)[-1],
    "no last column": lambda content: b"".join(line.rpartition(b",")[0] + b"\n" for line in content.split()),
    "empty": lambda content: b"",
    "another file": lambda content: b"\x89PNG\r\n\x1a\n",
}


def test_sidecar(tmp_path):
    artefact, source = tmp_path / "out.csv", tmp_path / "in.csv"
    artefact.write_bytes(b"out")
    source.write_bytes(b"in")
    settings = TrainingSettings(epochs=3)
    code = code_digest("vidkd.files")
    write_sidecar(artefact, settings=settings, inputs=[source, tmp_path], code=code, seed=7, note="a note")
    record = json.loads((tmp_path / "out.csv.provenance.json").read_text())
    assert record["artefact"] == {
        "bytes": 3,
        "mtime_ns": artefact.stat().st_mtime_ns,
        "sha256": hashlib.sha256(b"out").hexdigest(),
    }
    assert record["inputs"] == {str(source): hashlib.sha256(b"in").hexdigest(), str(tmp_path): None}
    assert record["settings"]["epochs"] == 3
    assert (record["seed"], record["code"], record["note"]) == (7, code, "a note")
    assert record["packages"]["h5py"]
    assert "pytest" not in record["packages"]
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))
    assert 0 < record["wall_s"] < 1e5
    assert 10 < record["peak_memory_mb"] < 1e6
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "in.csv",
        "out.csv",
        "out.csv.provenance.json",
    ]


@pytest.fixture
def made(tmp_path):
    """A store with its provenance."""
    path = tmp_path / "made.h5"
    path.write_bytes(b"old")
    write_sidecar(path, settings={"a": 1}, inputs=[], code="c")
    return path


def digest_in_sidecar(made):
    """What the provenance of another file says of it, when that is written now."""
    artefact = made.with_name("artefact")
    artefact.write_bytes(b"x")
    write_sidecar(artefact, settings={}, inputs=[made], code="c")
    return json.loads(made.with_name("artefact.provenance.json").read_text())["inputs"][str(made)]


@pytest.fixture
def table(tmp_path):
    """An artefact that is a table."""
    path = tmp_path / "predictions.csv"
    write_text(path, TABLE)
    write_sidecar(path, settings={}, inputs=[], code="c")
    return path


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("kept", [True, False], ids=["time kept", "time new"])
def test_a_damaged_table_is_refused(table, damage, kept):
    times = table.stat()
    table.write_bytes(damage(table.read_bytes()))
    if kept:
        os.utime(table, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(
        UserError, match=r"predictions\.csv is damaged: .*Delete it and give the same command"
    ):
        read_csv(table)


def test_a_whole_table_is_read_and_names_what_it_lacks(table):
    assert read_csv(table, ["video_id", "pred"])["pred"].tolist() == [0, 0, 1]
    with pytest.raises(UserError, match=r"predictions\.csv is damaged \(it has no column s_0\)"):
        read_csv(table, ["video_id", "s_0"])


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "\0"])
def test_without_a_sidecar_what_is_no_object_is_named(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(UserError, match=r"metrics\.json is damaged \("):
        read_json(tmp_path / "metrics.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"artefact": {"sha256": 1}}', b"\xff"])
def test_a_damaged_sidecar_is_named(table, content):
    """An empty one ended a job of hours in a bare JSONDecodeError, each time anew."""
    table.with_name("predictions.csv.provenance.json").write_bytes(content)
    for use in (read_csv, check, digest_in_sidecar):
        with pytest.raises(UserError, match=r"predictions\.csv\.provenance\.json is damaged.*Delete both"):
            use(table)


def test_a_file_of_somebody_has_nothing_to_be_held_against(table):
    table.with_name("predictions.csv.provenance.json").unlink()
    table.write_text(TABLE + "d,0,0\n")
    assert len(read_csv(table)) == 4


def test_what_is_written_anew_is_not_held_against_the_old_sidecar(table):
    """A job that is killed between a file and its sidecar leaves a whole file."""
    write_text(table, TABLE + "d,0,0\n")
    assert len(read_csv(table)) == 4


def test_of_a_store_the_sum_is_compared_where_size_or_time_are_others(tmp_path):
    store = tmp_path / "shard_0.h5"
    store.write_bytes(b"rows")
    write_sidecar(store, settings={}, inputs=[], code="c")
    times = store.stat()
    store.write_bytes(b"ROWS")
    os.utime(store, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert check(store) == store, "its rows have sums of their own"
    os.utime(store, ns=(1, 1))
    with pytest.raises(UserError, match=r"shard_0\.h5 is damaged"):
        check(store)


@pytest.mark.parametrize("times", [None, (1, 1)], ids=["newer", "older"])
def test_an_input_that_a_file_of_its_size_replaced_is_refused(made, times):
    assert digest_in_sidecar(made) == hashlib.sha256(b"old").hexdigest()
    made.write_bytes(b"new")
    os.utime(made, times)
    with pytest.raises(UserError, match=r"made\.h5 is damaged"):
        digest_in_sidecar(made)


def test_an_input_that_was_only_touched_is_hashed_once_more_and_no_more(made, monkeypatch):
    """Snakemake touches what a job wrote."""
    os.utime(made, ns=(1, 10**18))
    read = []
    monkeypatch.setattr(artefacts, "file_sha256", lambda path: read.append(path) or file_sha256(path))
    for _ in range(3):
        digest_in_sidecar(made)
    assert [path for path in read if path == made] == [made]
    record = json.loads(made.with_name("made.h5.provenance.json").read_text())
    assert record["artefact"]["mtime_ns"] == 10**18
    assert record["settings"] == {"a": 1}
