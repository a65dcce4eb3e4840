"""Class directories; no annotation files.

- with split directories: `{train,val,test}/CLASS/x.mp4`, in capitals or not; `val` may be called `valid` or
  `validation`, or be absent: then one is cut from train; other directories beside them are not read;
- without: `CLASS/x.mp4`; test (`test_fraction`) and val (`val_fraction`) are cut off by a seeded hash.

A video is a file, a folder of images, or the images `x_frame_00.jpg`, `x_frame_01.jpg` ... in one folder.
Videos in one folder below a class (`CLASS/person_7/x.mp4`) are a group: they stay together when a split is
cut. Hidden files and folders are left out.
"""

from __future__ import annotations

from pathlib import Path

from vidkd.config.data import DataSettings
from vidkd.data.adapters.base import Listed, Listing, cut_split
from vidkd.errors import UserError
from vidkd.video.media import above_images, check_name, videos_below, walk

SPLIT_OF = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def list_videos(settings: DataSettings, root: Path, annotations: Path) -> Listed:
    """List the videos of the class directories.

    Raises:
        UserError: the train or test directory is missing, a class has no video to train on, val is there
            and has none, no split can be cut, or see Listing.
    """
    listing = Listing(root)
    splits = _split_folders(root)
    for split, folder in splits.items() if splits else [("train", "")]:
        for label in _folders(root / folder):
            place = f"{folder}/{label}".lstrip("/")
            check_name(label, f"{root}/{place}")
            _refuse_links(root, folder, place)
            videos = list(videos_below(root / place))
            if split == "train" and not videos:
                raise UserError(f"{root}/{place} has no video: add those of this class, or move it elsewhere")
            for video in videos:
                group, below, _ = video.partition("/")
                path = f"{place}/{video}"
                listing.add(path, label, split, f"{root}/{path}", f"{place}/{group}" if below else "")
    if "val" in splits:
        listing.check_val(f"{root}/{splits['val']}")
    if not splits and listing.videos:
        cut_split(listing.videos, "test", settings.test_fraction, settings.split_seed)
    return listing.finish(settings)


def watched_folders(root: Path) -> list[str]:
    """List the folders that change when a video is added; of a class with folders of images, the class only.

    Raises:
        UserError: a folder cannot be listed, or see list_videos.
    """
    splits = [root / folder for folder in _split_folders(root).values()]
    found = [str(folder) for folder in [root, *splits]]
    try:
        for folder in splits or [root]:
            for label in _folders(folder):
                found.extend(above_images(f"{folder}/{label}"))
    except OSError as error:
        raise UserError(f"cannot list {error.filename}: {error.strerror}. Mend its permissions.") from error
    return found


def _refuse_links(root: Path, *folders: str) -> None:
    for folder in filter(None, folders):
        if (root / folder).is_symlink():
            raise UserError(f"{root}/{folder} is a link, so its videos may be listed twice: move them there")


def _split_folders(root: Path) -> dict[str, str]:
    """Names of the split directories, or none where `root` holds the classes themselves."""
    names = _folders(root)
    found = [name for name in names if name.lower() in SPLIT_OF]
    if not found or (len(found) == 1 and len(names) > 1):  # one of several classes may be called `train`
        return {}
    splits = {SPLIT_OF[name.lower()]: name for name in found}
    if len(splits) < len(found) or not {"train", "test"} <= splits.keys():
        raise UserError(
            f"{root} has the directories {', '.join(found)}: data.adapter `folder` expects train and test, "
            "perhaps val, or the classes themselves"
        )
    return splits


def _folders(folder: str | Path) -> list[str]:
    return next(walk(folder))[1]
