"""Data of a notebook: label names, the videos of each split as transformers' models take them, and reuse."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import VideoMAEImageProcessor

from vidkd.artefacts import file_sha256
from vidkd.config.data import SPLITS, DataSettings, FrameSettings
from vidkd.data.adapters.registry import find_adapter, write_listing
from vidkd.data.augment import apply_view, centre_view
from vidkd.data.excluded import join_excluded
from vidkd.data.extract import extract_shard
from vidkd.data.frames import FrameStore
from vidkd.data.label_ids import read_labels
from vidkd.data.labels import write_labels
from vidkd.data.manifest import build_manifest
from vidkd.data.probe import probe_shard
from vidkd.data.sampling import segment_centres
from vidkd.data.tables import iter_rows, read_classes
from vidkd.errors import UserError
from vidkd.files import write_text
from vidkd.provenance import code_digest

log = logging.getLogger(__name__)

_MARK = "made.json"
"""In a folder whose files are all there: the digest of what they were made of."""


class Places(NamedTuple):
    """What `create_data_loaders` makes of a data set.

    Attributes:
        frames: frame store of each split.
        classes: class names.
        labels: label of each video.
    """

    frames: dict[str, Path]
    classes: Path
    labels: Path


class LabelledClips(Dataset[dict[str, Tensor]]):
    """The videos of one split, each a clip of the middle frames of equal segments, cropped in the middle.

    An item is `{"pixel_values": (T, 3, H, W), "labels": ()}`, normalised as the image processor says: what a
    model of transformers takes. The trainer reads `places` and cuts, samples and flips clips itself.
    """

    def __init__(self, places: Places, split: str, processor: VideoMAEImageProcessor, frames: int) -> None:
        self.places, self.file, self.frames = places, places.frames[split], frames
        self.store = FrameStore([self.file])
        self.label_ids = read_labels(places.labels, self.store.video_ids, len(read_classes(places.classes)))
        self._size = int(processor.crop_size["height"])
        self._crop = self._size / int(processor.size["shortest_edge"])
        self._mean, self._std = (
            torch.tensor(values).view(3, 1, 1) for values in (processor.image_mean, processor.image_std)
        )

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        height, width = self.store.sizes[row]
        frames_THWC = self.store.clip(row, segment_centres(self.store.per_video, self.frames))
        clip_TCHW = apply_view(frames_THWC, centre_view(height, width, self._crop), self._size)
        pixels = (clip_TCHW.float() / 255 - self._mean) / self._std
        return {"pixel_values": pixels, "labels": torch.tensor(int(self.label_ids[row]))}


def load_label_mappings(
    dataset_root: str | Path | None, data: DataSettings | None = None
) -> tuple[dict[str, int], dict[int, str]]:
    """label2id and id2label of a data set, by default one with `train.csv`, `val.csv`, `test.csv` (seed 002).

    Args:
        dataset_root: its folder; None: `data.root`.
        data: another layout, by the settings of `data`.

    Raises:
        UserError: a file is missing, or a line of it is not understood.
    """
    settings = _settings(dataset_root, data)
    root = Path(settings.root)
    _, classes = find_adapter(settings.adapter)(settings, root, root / settings.annotations)
    return {name: k for k, name in enumerate(classes)}, dict(enumerate(classes))


def create_data_loaders(
    dataset_root: str | Path | None,
    image_processor: VideoMAEImageProcessor,
    label2id: Mapping[str, int],
    batch_size: int = 4,
    frames: int = 16,
    work_dir: str | Path = "tri_model_data",
    data: DataSettings | None = None,
) -> tuple[DataLoader[dict[str, Tensor]], DataLoader[dict[str, Tensor]], DataLoader[dict[str, Tensor]]]:
    """Loaders of train, val and test. Frames are decoded once, into `work_dir`.

    Broken videos are left out, up to `data.max_excluded` (a hundredth) of all.

    Args:
        dataset_root: folder of the data set; None: `data.root`.
        image_processor: size, crop and normalisation of a clip.
        label2id: of `load_label_mappings`.
        batch_size: clips of a batch.
        frames: of a clip.
        work_dir: folder for frames and tables; `excluded.csv` there lists what was left out, and why.
        data: another layout; see `load_label_mappings`.

    Raises:
        UserError: the data set cannot be used, or has other classes than `label2id`.
    """
    settings = _settings(dataset_root, data)
    places = _prepare(settings, frames, Path(work_dir))
    classes = read_classes(places.classes)
    if dict(label2id) != {name: k for k, name in enumerate(classes)}:
        raise UserError(
            f"label2id has other classes than {settings.root}, which has {', '.join(classes)}: take it from "
            "load_label_mappings of the same data set"
        )
    train, val, test = (LabelledClips(places, split, image_processor, frames) for split in SPLITS)
    order = torch.Generator().manual_seed(0)
    return (
        DataLoader(train, batch_size, shuffle=True, generator=order),
        DataLoader(val, batch_size),
        DataLoader(test, batch_size),
    )


def _prepare(settings: DataSettings, frames: int, work_dir: Path) -> Places:
    """List, probe and extract the videos, as the workflow does; what is there of the same videos stays.

    Raises:
        UserError: the data set cannot be used.
    """
    root = Path(settings.root)
    annotations = root / settings.annotations
    places = Places(
        {split: work_dir / f"frames/{split}/shard_0.h5" for split in SPLITS},
        work_dir / "classes.json",
        work_dir / "labels.csv",
    )
    stored = FrameSettings.model_validate({"per_video": 2 * frames})
    log.info("%s", write_listing(settings, root, annotations, work_dir / "videos", places.classes))
    write_labels(settings, root, annotations, places.labels, places.classes)
    listed = work_dir / "videos/shard_0.csv"
    videos = [root / row["path"] for row in iter_rows(listed)]
    digest = digest_of(f"{settings} {stored} {code_digest(__name__)}", [listed, places.classes], videos)
    extract = functools.partial(_extract, settings, stored, places, work_dir)
    unless_made(work_dir, digest, places.frames.values(), extract)
    return places


def _extract(settings: DataSettings, stored: FrameSettings, places: Places, work_dir: Path) -> None:
    """Probe the listed videos, and keep frames of those that can be used."""
    root, probe = Path(settings.root), work_dir / "probes/shard_0.csv"
    probe_shard(work_dir / "videos/shard_0.csv", places.classes, 0, root, probe)
    manifest = work_dir / "manifest.csv"
    build_manifest(probe.parent, places.classes, manifest, settings)
    for split, store in places.frames.items():
        extract_shard(probe, split, root, store, stored)
    excluded = work_dir / "excluded.csv"
    census = join_excluded(manifest, probe.parent, work_dir / "frames", places.classes, excluded, settings)
    log.info("%s", census.summary())


def _settings(dataset_root: str | Path | None, data: DataSettings | None) -> DataSettings:
    """With one shard: a notebook has one process."""
    if data is None:
        data = DataSettings.model_validate({"adapter": "csv", "annotations": "."})
    root = data.root if dataset_root is None else str(dataset_root)
    return data.model_copy(update={"root": root, "n_shards": 1})


def digest_of(said: str, small: Iterable[Path], large: Iterable[Path] = ()) -> str:
    """Digest of `said`, of the content of `small` files, and of the size and time of `large` ones.

    A large one may be a folder of images, or what their names begin with.
    """
    digest = hashlib.sha256(said.encode())
    for file in small:
        digest.update(f"{file} {file_sha256(file)}\n".encode())
    for file in large:
        digest.update(f"{file} {_stats(file)}\n".encode())
    return digest.hexdigest()


def unless_made(folder: Path, digest: str, files: Iterable[Path], make: Callable[[], None]) -> None:
    """Call `make` unless it was called for the same digest and all of `files` are there."""
    mark = folder / _MARK
    same = mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == digest
    if same and all(file.is_file() for file in files):
        return
    mark.unlink(missing_ok=True)
    make()
    write_text(mark, json.dumps(digest) + "\n")


def _stats(path: Path) -> list[tuple[str, int, int]]:
    if path.is_file():
        members = [path]
    elif path.is_dir():
        members = sorted(path.iterdir())
    else:
        members = sorted(path.parent.glob(f"{path.name}_frame_*"))
    found = [(member.name, member.stat()) for member in members]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]
