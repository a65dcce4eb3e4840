"""Mapped files hold no file descriptor, and their memory ends with the last array."""

from __future__ import annotations

import gc
import resource
from pathlib import Path

import numpy as np
import pytest

from vidkd.data.mapped import map_bytes

PAGE = 4096
CONTENT = np.random.default_rng(0).integers(0, 256, 3 * PAGE + 7, np.uint8)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "bytes").write_bytes(CONTENT.tobytes())
    return tmp_path / "bytes"


def maps(path: Path) -> int:
    return Path("/proc/self/maps").read_text().count(str(path))


@pytest.mark.parametrize("start", [0, 1, PAGE - 1, PAGE, 2 * PAGE + 5])
@pytest.mark.parametrize("length", [0, 1, PAGE])
def test_it_is_the_part_of_the_file(file, start, length):
    found = map_bytes(file, start, length)
    np.testing.assert_array_equal(found, CONTENT[start : start + length])
    assert length == 0 or not found.flags.writeable


def test_the_memory_ends_with_the_last_array(file):
    rows = map_bytes(file, 8, 2 * PAGE).view(np.float32).reshape(2, -1)[1:]
    gc.collect()
    assert maps(file) == 1
    np.testing.assert_array_equal(rows.view(np.uint8)[0], CONTENT[8 + PAGE : 8 + 2 * PAGE])
    del rows
    gc.collect()
    assert maps(file) == 0


def test_more_files_than_a_process_may_open(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = [tmp_path / str(number) for number in range(300)]
    for number, path in enumerate(files):
        path.write_bytes(bytes([number % 256]) * 10)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        mapped = [map_bytes(path, 0, 10) for path in files]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [int(array[9]) for array in mapped] == [number % 256 for number in range(300)]


def test_a_file_that_is_shorter_or_gone(file):
    with pytest.raises(OSError, match="ends before byte"):
        map_bytes(file, PAGE, 3 * PAGE)
    with pytest.raises(FileNotFoundError):
        map_bytes(file.with_name("gone"), 0, 1)
