"""One small checkpoint of each kind, made once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from torch import nn

from tests.backbones.checkpoints import MAKERS
from vidkd.backbones.registry import BACKBONES


class Made(NamedTuple):
    """A checkpoint folder, and the network that was saved into it."""

    folder: Path
    network: nn.Module


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A function from a kind to its checkpoint, not to be changed."""
    found: dict[str, Made] = {}

    def make(kind: str) -> Made:
        if kind not in found:
            folder = tmp_path_factory.mktemp(kind)
            found[kind] = Made(folder, MAKERS[kind](folder))
        return found[kind]

    return make


@pytest.fixture
def copied(made, tmp_path):
    """A function from a kind to a copy of its checkpoint, to be changed."""
    return lambda kind: Path(shutil.copytree(made(kind).folder, tmp_path / "checkpoint"))


@pytest.fixture(params=BACKBONES)
def kind(request) -> str:
    return request.param
