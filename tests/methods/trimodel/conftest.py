"""Teacher, assistant and what they are made of, and an accelerator of each test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import _own_process_state  # noqa: F401
from tests.methods.trimodel.assisted import Assisted, make
from tests.methods.trimodel.processed import write_amd, write_dataset, write_videomae


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


@pytest.fixture(scope="session")
def desk(tmp_path_factory) -> Path:
    """A folder with `processed_dataset`, the hub's cache and AMD's file, as the notebook expects them."""
    desk = tmp_path_factory.mktemp("desk")
    write_dataset(desk / "processed_dataset")
    write_videomae(desk / "hub")
    (desk / "ssv2_models").mkdir()
    write_amd(desk / "ssv2_models/amd_vit_s_ssv2.pth")
    return desk


@pytest.fixture
def at_desk(desk, monkeypatch) -> Path:
    """The same, as the present folder."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(desk / "hub"))
    monkeypatch.chdir(desk)
    return desk
