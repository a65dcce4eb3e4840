"""A teacher and what it is made of, and an accelerator of each test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import _own_process_state  # noqa: F401
from tests.methods.student.taught import Taught, below, make


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Path:
    """A folder with everything; tests that change files take a copy."""
    folder = tmp_path_factory.mktemp("student") / "made"
    folder.mkdir()
    make(folder)
    return folder


@pytest.fixture
def taught(made_once) -> Taught:
    """Not to be changed."""
    return below(made_once)


@pytest.fixture
def own(made_once, tmp_path) -> Taught:
    """A copy."""
    shutil.copytree(made_once, tmp_path / "made")
    return below(tmp_path / "made")
