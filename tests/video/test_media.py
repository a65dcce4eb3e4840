from __future__ import annotations

import os

import pytest

from vidkd.errors import UserError
from vidkd.video.media import find_videos, walk, without_suffix


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("path", "stem"),
    [("a/b.mp4", "a/b"), ("b.WebM", "b"), ("a.b/c", "a.b/c"), ("film.1995", "film.1995")],
)
def test_only_the_suffix_of_a_video_is_cut(path, stem):
    assert without_suffix(path) == stem


def test_folders_are_sorted_and_hidden_ones_left_out(tmp_path):
    touch(tmp_path, "b/2.mp4", "b/1.mp4", "a/deep/3.mp4", ".git/4.mp4", "a/._3.mp4")
    inner = [(os.path.relpath(parent, tmp_path), folders, files) for parent, folders, files in walk(tmp_path)]
    assert inner == [
        (".", ["a", "b"], []),
        ("a", ["deep"], []),
        ("a/deep", [], ["3.mp4"]),
        ("b", [], ["1.mp4", "2.mp4"]),
    ]


def test_a_folder_that_is_removed_from_the_list_is_not_entered(tmp_path):
    touch(tmp_path, "a/1.mp4", "b/2.mp4")
    seen = []
    for parent, folders, _ in walk(tmp_path):
        seen.append(os.path.relpath(parent, tmp_path))
        if "a" in folders:
            folders.remove("a")
    assert seen == [".", "b"]


def test_a_link_to_a_folder_is_refused(tmp_path):
    touch(tmp_path, "a/1.mp4")
    (tmp_path / "a/up").symlink_to(tmp_path)
    with pytest.raises(UserError, match="a/up is a link to a folder: move the folder itself there"):
        list(walk(tmp_path))


def test_a_folder_that_cannot_be_listed(tmp_path):
    with pytest.raises(UserError, match=r"cannot list .*absent: No such file or directory"):
        list(walk(tmp_path / "absent"))


def test_videos_are_found_at_any_depth(tmp_path):
    touch(tmp_path, "x.mp4", "a/b/y.AVI", "a/notes.txt", "a/z.jpg")
    assert list(find_videos(tmp_path)) == ["x.mp4", "a/b/y.AVI"]
