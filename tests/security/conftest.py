"""Where hostile code would leave its mark, and one small checkpoint of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backbones.conftest import made  # noqa: F401 - a fixture


@pytest.fixture
def mark(tmp_path) -> Path:
    """A folder that hostile code makes; afterwards it must not be there."""
    place = tmp_path / "MARK"
    yield place
    assert not place.exists()
