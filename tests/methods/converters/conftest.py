"""A pair of caches, and an accelerator of each test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.conftest import _own_process_state  # noqa: F401
from tests.methods.converters.cached import Shards, make_pair
from tests.methods.converters.trained import SMALL, trained


@pytest.fixture
def pair(tmp_path) -> Shards:
    return make_pair(tmp_path / "cache")


@pytest.fixture
def weights(pair, tmp_path) -> Path:
    """A converter that was trained on `pair`."""
    return trained(pair, tmp_path / "run", SMALL)
