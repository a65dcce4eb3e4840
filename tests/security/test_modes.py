"""Files have the modes that the umask gives: what a group may read it can read, and nobody else can write."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.data.feature_files import write_shard
from tests.web_server import serve
from vidkd.artefacts import write_sidecar
from vidkd.backbones.fetch import Remote, fetch
from vidkd.files import atomic_folder, write_text


@pytest.fixture(params=[0o027, 0o022, 0o002])
def left(request) -> Iterator[int]:
    """Mode of a plain file under a umask that is set for the test."""
    before = os.umask(request.param)
    yield 0o666 & ~request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in found}


def test_files_and_stores(tmp_path, left):
    write_text(tmp_path / "a/text.json", "{}")
    write_shard(tmp_path / "b/shard_0.h5", ["x"])
    write_sidecar(tmp_path / "a/text.json", settings={}, inputs=[], code="c", seed=0)
    names = ("text.json", "text.json.provenance.json", "shard_0.h5")
    assert modes(tmp_path) == dict.fromkeys(names, left)


def test_a_folder_that_a_library_writes(tmp_path, left):
    """Safetensors gives its files to their owner alone, whatever the umask."""
    with atomic_folder(tmp_path / "network") as folder:
        save_file({"w": torch.zeros(2)}, folder / "model.safetensors")
        (folder / "inner").mkdir()
        (folder / "inner/tool").write_text("#!/bin/sh\n")
        (folder / "inner/tool").chmod(0o777)
    assert modes(tmp_path) == {"model.safetensors": left, "tool": left}


def test_what_is_fetched(tmp_path, left):
    content = b"#!/bin/sh\n"
    with serve(lambda handler: handler.send(content)) as server:
        remote = Remote(f"{server.url}/w.pth", tmp_path / "w.pth", hashlib.sha256(content).hexdigest())
        fetch(remote, "weights")
    assert modes(tmp_path) == {"w.pth": left}
