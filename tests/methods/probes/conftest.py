"""A cache, and an accelerator of each test's own."""

from __future__ import annotations

import pytest

from tests.engine.conftest import _own_process_state  # noqa: F401
from tests.methods.probes.cached import Cache, make_cache


@pytest.fixture
def cache(tmp_path) -> Cache:
    return make_cache(tmp_path / "cache")
