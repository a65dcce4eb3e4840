from __future__ import annotations

import pytest
from click.testing import CliRunner
from PIL import Image

from tests.data.videos import write_video
from workflow_scripts.inspect_videos import main


@pytest.fixture
def folder(tmp_path):
    write_video(tmp_path / "videos/a.mp4", 12)
    write_video(tmp_path / "videos/sub/b c.avi", 12, "mpeg4")
    return tmp_path


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_usable_videos_are_status_0(folder):
    done = run(folder / "videos", "--per-video", 3, "--sheet", folder / "sheet.png")
    assert done.exit_code == 0, done.output
    assert done.output.count("  usable        yes") == 2
    assert done.output.count("  frame                 2        6       10\n") == 2
    assert done.output.endswith("2 of 2 videos are usable\n")
    assert Image.open(folder / "sheet.png").format == "PNG"


def test_a_video_that_would_be_excluded_is_status_1(folder):
    (folder / "videos/bad.mp4").write_bytes(b"")
    done = run(folder / "videos/a.mp4", folder / "videos/bad.mp4", folder / "videos/absent.mp4")
    assert done.exit_code == 1
    assert "EXCLUDED      empty: the file has no bytes" in done.output
    assert "EXCLUDED      missing: there is no such file" in done.output
    assert done.output.endswith("1 of 3 videos are usable\n")
    assert run(folder / "videos", "--min-frames", 13).exit_code == 1


@pytest.mark.parametrize("words", [[], ["x", "--per-video", "0"], ["x", "--sheet"]])
def test_a_wrong_command_is_status_2(words):
    assert run(*words).exit_code == 2


def test_a_sheet_that_cannot_be_written_is_a_sentence(folder):
    (folder / "file").touch()
    done = run(folder / "videos", "--sheet", folder / "file/sheet.png")
    assert done.exit_code == 2
    assert "Error: cannot write" in done.output
