"""Teacher, assistant and what they are made of, and an accelerator of each test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import _own_process_state  # noqa: F401
from tests.methods.trimodel.assisted import Assisted, make


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Path:
    """A folder with everything; tests that change files take a copy."""
    folder = tmp_path_factory.mktemp("trimodel") / "made"
    folder.mkdir()
    make(folder)
    return folder


@pytest.fixture
def assisted(made_once) -> Assisted:
    """Not to be changed."""
    return Assisted(made_once)


@pytest.fixture
def own(made_once, tmp_path) -> Assisted:
    """A copy."""
    shutil.copytree(made_once, tmp_path / "made")
    return Assisted(tmp_path / "made")
