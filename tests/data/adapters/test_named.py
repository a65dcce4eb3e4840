from __future__ import annotations

import pytest

from tests.data.adapters.trees import write
from vidkd.data.adapters.named import NamedVideos
from vidkd.errors import UserError


def touch(folder, *names):
    write(folder, dict.fromkeys(names, ""))


def test_videos_are_found_at_any_depth(tmp_path):
    touch(tmp_path, "x.mp4", "a/b/y.AVI", "a/notes.txt", "a/z.jpg")
    found = NamedVideos(tmp_path)
    assert [found.path(name, "absent") for name in ("x", "y", "notes", "z")] == [
        "x.mp4",
        "a/b/y.AVI",
        "absent",
        "absent",
    ]


@pytest.mark.parametrize("folder", ["a_replacement", "z_replacement"])
def test_a_replacement_is_taken_instead(tmp_path, folder):
    touch(tmp_path, "train/x.mp4", f"{folder}/x.mp4", "train/y.mp4")
    found = NamedVideos(tmp_path)
    assert [found.path(name, "absent") for name in "xyz"] == [f"{folder}/x.mp4", "train/y.mp4", "absent"]


def test_two_videos_of_one_name_are_refused(tmp_path):
    touch(tmp_path, "a/x.mp4", "b/x.avi")
    with pytest.raises(UserError, match=r"a/x\.mp4 and b/x\.avi under .* are the same video: remove one"):
        NamedVideos(tmp_path)
