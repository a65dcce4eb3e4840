"""Where the videos are of data sets whose lists give names without folders."""

from __future__ import annotations

from pathlib import Path

from vidkd.data.adapters.scratch import Scratch
from vidkd.errors import UserError
from vidkd.video.media import check_name, find_videos, without_suffix


class NamedVideos(Scratch):
    """Each video file at any depth below a folder, by its name without suffix.

    Of two with one name, the one in a folder with `replacement` in its name is taken.
    """

    def __init__(self, folder: Path) -> None:
        """Look for the videos; none is opened.

        Raises:
            UserError: two videos have the same name, or see check_name and walk.
        """
        super().__init__("CREATE TABLE video (name PRIMARY KEY, path) WITHOUT ROWID")
        for path in find_videos(folder):
            check_name(path, f"{folder}/{path}")
            name = without_suffix(path.rpartition("/")[2])
            if not self.change("INSERT OR IGNORE INTO video VALUES (?, ?)", name, path):
                other = self.path(name, path)
                if ("replacement" in other) == ("replacement" in path):
                    raise UserError(f"{other} and {path} under {folder} are the same video: remove one")
                if "replacement" in path:
                    self.change("UPDATE video SET path = ? WHERE name = ?", path, name)

    def path(self, name: str, default: str) -> str:
        """The path, relative to the folder, of the video of this name, or else `default`."""
        found: tuple[str] = next(self.rows("SELECT path FROM video WHERE name = ?", name), (default,))
        return found[0]
