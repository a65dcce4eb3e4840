"""Videos that are images already: a folder of them, or images `<path>_frame_<number>.*` beside each other.

The frames are the images in natural order (frame 2 before frame 10). Their numbers, if they have any, must go
up in equal steps: a missing image would move all later ones in time, so such a video is not used.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ExifTags, ImageOps

from vidkd.video.media import FRAME, IMAGE_SUFFIXES, natural, suffix_of
from vidkd.video.video import Image, TooFewFrames, UnreadableVideo, VideoInfo

_FORMATS = ("BMP", "JPEG", "PNG", "WEBP")
"""Those of IMAGE_SUFFIXES: whatever a file is called, Pillow would have Ghostscript run one of PostScript."""

_EIGHT_BITS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}


def probe_images(path: str | Path) -> VideoInfo:
    """Look at the head of every image of a video.

    Raises:
        UnreadableVideo: there is no image, or one is missing, cannot be read, or has another size.
    """
    files = image_files(Path(path))
    sizes, formats, modes = set(), set(), set()
    for file in files:
        with _opened(file) as image:
            size = image.size[::-1] if image.getexif().get(ExifTags.Base.Orientation, 1) >= 5 else image.size
            sizes.add(size)
            formats.add(str(image.format).lower())
            modes.add(image.mode.lower())
        if len(sizes) > 1:
            raise UnreadableVideo("size_changes", f"{file.name} has another size than {files[0].name}")
    width, height = sizes.pop()
    return VideoInfo(
        frames=len(files),
        fps=0.0,
        width=width,
        height=height,
        duration=0.0,
        codec="+".join(sorted(formats)),
        rotation=0,
        pixel_format="+".join(sorted(modes)),
        vfr=False,
    )


def decode_images(
    path: str | Path, indices: Sequence[int], transform: Callable[[Image], Image] | None = None
) -> tuple[list[Image], NDArray[np.float64]]:
    """Read chosen images: what `vidkd.video.decode.decode_frames` does for such a video.

    Raises:
        TooFewFrames: there are fewer images than the last index.
        UnreadableVideo: an image is missing, cannot be read, or has another size than the first.
    """
    files = image_files(Path(path))
    if (last := max(indices, default=0)) >= len(files):
        raise TooFewFrames(len(files), last)
    read: dict[int, Image] = {}
    shape = None
    for index in indices:
        if index not in read:
            image = _pixels(files[index])
            if image.shape != (shape := shape or image.shape):
                raise UnreadableVideo("size_changes", f"{files[index].name} has another size than others")
            read[index] = transform(image) if transform else image
    return [read[index] for index in indices], np.full(len(indices), np.nan)


def image_files(path: Path) -> list[Path]:
    """List the images that are the frames of the video at `path`, in their order.

    Raises:
        UnreadableVideo: there are none, their numbers show that one is missing, or one is a link elsewhere.
    """
    if path.is_dir():
        names = [name for name in _listed(path) if suffix_of(name) in IMAGE_SUFFIXES]
        if not names:
            raise UnreadableVideo("no_frame", f"the folder has no image ({' '.join(sorted(IMAGE_SUFFIXES))})")
        folder = path
    else:
        folder = path.parent
        names = _by_prefix(folder, folder.stat().st_mtime_ns).get(path.name, []) if folder.is_dir() else []
        if not names:
            raise UnreadableVideo("missing", "there is no such file")
    names = sorted(names, key=natural)
    _check_numbers(names)
    files = [folder / name for name in names]
    _check_links(files, folder)
    return files


@lru_cache(maxsize=1)
def _by_prefix(folder: Path, _changed: int) -> dict[str, list[str]]:
    """The images of a folder by the video they belong to; kept, as a folder may hold all of a data set."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in _listed(folder):
        if suffix_of(name) in IMAGE_SUFFIXES and (match := FRAME.fullmatch(Path(name).stem)):
            found[match[1]].append(name)
    return dict(found)


def _listed(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise UnreadableVideo("unreadable", str(error.strerror)) from error


def _check_numbers(names: list[str]) -> None:
    """The last number in a name is that of its frame."""
    found = [re.findall(r"\d+", Path(name).stem) for name in names]
    if not any(found):
        return
    if not all(found):
        raise UnreadableVideo("numbering", f"{names[found.index([])]} has no number, other images have")
    numbers = [int(digits[-1]) for digits in found]
    steps = [after - before for before, after in pairwise(numbers)]
    for place, step in enumerate(steps):
        if step <= 0 or step != steps[0]:
            raise UnreadableVideo("numbering", f"{names[place]} is followed by {names[place + 1]}")


def _check_links(files: Sequence[Path], folder: Path) -> None:
    """An image that is a link may lead to any picture of this machine."""
    for file in files:
        # realpath: resolve() raises where links lead to each other
        if file.is_symlink() and not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder)):
            raise UnreadableVideo("unreadable", f"{file.name} is a link that leaves its folder")


def _pixels(file: Path) -> Image:
    """The upright RGB image; transparency is dropped."""
    with _opened(file) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


@contextmanager
def _opened(file: Path) -> Iterator[PIL.Image.Image]:
    """Open an image; errors of the library become UnreadableVideo."""
    try:
        if not file.is_file():  # opening a pipe would wait for ever
            raise UnreadableVideo("unreadable", f"{file.name} is no regular file")
        with PIL.Image.open(file, formats=_FORMATS) as image:
            if image.mode not in _EIGHT_BITS:
                raise UnreadableVideo(
                    "no_decoder", f"{file.name} has pixels of kind {image.mode}, not 8 bits"
                )
            if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
                raise UnreadableVideo("no_decoder", f"{file.name} is animated; an image is one frame")
            yield image
    except PIL.UnidentifiedImageError as error:
        raise UnreadableVideo("unreadable", f"{file.name} is no image") from error
    except PIL.Image.DecompressionBombError as error:
        raise UnreadableVideo(
            "unreadable", f"{file.name} claims more pixels than are safe to read"
        ) from error
    except OSError as error:
        raise UnreadableVideo("decode_error", f"{file.name}: {error.strerror or error}") from error
    except (UnreadableVideo, MemoryError, ImportError):
        raise
    except Exception as error:  # whatever the library raises about one image does not stop the other videos
        raise UnreadableVideo("decode_error", f"{file.name}: {error}") from error
