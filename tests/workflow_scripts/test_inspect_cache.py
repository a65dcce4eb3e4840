from __future__ import annotations

import json
import subprocess
import sys

import h5py
import pytest
from click.testing import CliRunner

from tests.data.feature_files import META, other, write_shard
from vidkd.artefacts import write_sidecar
from workflow_scripts.inspect_cache import main


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "clip" / "train"
    for number, names in enumerate([["a", "short"], [], ["b"]]):
        write_shard(folder / f"shard_{number}.h5", names)
    write_sidecar(folder / "shard_0.h5", settings={}, inputs=[], code="0")
    return folder


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def flip_row(path):
    with h5py.File(path) as file:
        start = file["features"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[start] ^= 4
    path.write_bytes(content)


def test_a_sound_cache_is_status_0_and_says_what_made_it(folder):
    done = run(folder)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[:4] == [
        str(folder),
        "  features        3 videos x 3 x 5 float16",
        "  labels          3 different",
        "  padded          1 videos have fewer frames than a clip",
    ]
    for name, value in META.attributes().items():
        assert f"  {name:<16}{value}" in lines
    assert "  shard_2.h5      1 videos, 0.0 MB, all checksums match; no provenance beside it" in lines
    (made,) = [line for line in lines if "made by" in line]
    assert '"device":"cpu"' in made
    assert lines[-3:] == ["  3 of 3 shards are sound", "", "all is sound"]


def test_folders_are_caches_of_their_own(folder):
    write_shard(folder.with_name("val") / "shard_0.h5", ["a"], other(backbone="x"))
    done = run(folder, folder.with_name("val"))
    assert done.exit_code == 0
    assert done.output.count("shards are sound") == 2


def damage_row(folder):
    flip_row(folder / "shard_2.h5")


def damage_label(folder):
    with h5py.File(folder / "shard_2.h5", "r+") as file:
        file["label_id"][0] += 1


def cut(folder):
    path = folder / "shard_2.h5"
    path.write_bytes(path.read_bytes()[:3000])


def remove(folder):
    (folder / "shard_1.h5").unlink()


def made_otherwise(folder):
    write_shard(folder / "shard_2.h5", ["b"], other(weights_sha256="x"))


def give_twice(folder):
    write_shard(folder / "shard_2.h5", ["a"])


def replace(folder):
    write_shard(folder / "elsewhere.h5", ["a"])
    (folder / "elsewhere.h5").replace(folder / "shard_0.h5")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damage_row, r"shard_2.h5: 1 videos (b). Delete just these files"),
        (damage_label, "shard_2.h5 is not a whole feature store (its ids, labels or attributes are damaged)"),
        (cut, "shard_2.h5 is not a whole feature store"),
        (remove, "shard_1.h5 is missing: run snakemake features"),
        (made_otherwise, "shard_2.h5: made with other weights_sha256 than"),
        (give_twice, "video 'a' is in"),
        (replace, "shard_0.h5 is not the file that"),
    ],
)
def test_damage_is_status_1_and_named(folder, harm, message):
    harm(folder)
    done = run(folder)
    assert done.exit_code == 1
    assert "  PROBLEM         " in done.output
    assert message in done.output
    assert done.output.endswith("1 problems\n")


def test_provenance_that_cannot_be_read(folder):
    (folder / "shard_0.h5.provenance.json").write_text(json.dumps({"artefact": 1}))
    done = run(folder / "shard_0.h5")
    assert done.exit_code == 1
    assert "shard_0.h5.provenance.json is damaged" in done.output


@pytest.mark.parametrize("words", [[], ["absent.h5"], ["."]])
def test_a_wrong_command_is_status_2(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*words).exit_code == 2


def test_as_a_process(folder):
    command = [sys.executable, "-m", "workflow_scripts.inspect_cache", str(folder / "shard_0.h5")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all is sound\n")
