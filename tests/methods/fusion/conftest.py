"""Caches and converters, and an accelerator of each test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import _own_process_state  # noqa: F401
from tests.methods.fusion.cached import Made, make
from tests.methods.fusion.filmed import Filmed, film


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Path:
    """A folder with everything; tests take a copy, because some of them damage it."""
    folder = tmp_path_factory.mktemp("fusion") / "cache"
    make(folder)
    return folder


@pytest.fixture
def made(made_once, tmp_path) -> Made:
    shutil.copytree(made_once, tmp_path / "cache")
    return Made.below(tmp_path / "cache")


@pytest.fixture(scope="session")
def filmed(tmp_path_factory) -> Filmed:
    """Real videos and all that was made of them, not to be changed."""
    return film(tmp_path_factory.mktemp("filmed") / "made")
