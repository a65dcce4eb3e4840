"""The same on real H.264 files, whose frames are stored or decoded whenever they are asked for."""

from __future__ import annotations

import csv
from pathlib import Path

from tests.backbones.checkpoints import make_timm, settings_of
from tests.methods.student.taught import COUNTS, Taught, make_clip, replace_frames, write_labels
from vidkd.backbones.extract import cache_shard
from vidkd.config.data import DemoSettings, FrameSettings
from vidkd.data.demo import generate_split
from vidkd.data.extract import extract_shard


def film(root: Path, encoding: str, demo: DemoSettings) -> Taught:
    """Videos, frames of this encoding, features and the head for the colour."""
    make_clip(root / "clip")
    make_timm(root / "timm")
    made = Taught(
        root, replace_frames(settings_of("clip", root / "clip"), 4), settings_of("timm", root / "timm")
    )
    frames = FrameSettings(per_video=8, short_side=40, encoding=encoding)
    settings = demo.model_copy(update=COUNTS)
    rows = []
    for split in COUNTS:
        generate_split(settings, split, root / "videos" / split, root / f"videos/{split}.csv")
        shown = list(csv.DictReader((root / f"videos/{split}.csv").open()))
        rows += [row | {"video_id": row["path"].rpartition(".")[0]} for row in shown]
        probe = root / f"{split}.csv"
        with probe.open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["video_id", "path", "split", "label_id", "status", "frames"])
            for row in shown:
                table.writerow([row["path"].rpartition(".")[0], row["path"], split, 0, "ok", demo.frames])
        extract_shard(probe, split, root / "videos", made.frames(split)[0], frames)
        cache_shard(made.frames(split)[0], "clip", made.clip, made.features(split)[0])
    write_labels(root, rows)
    made.fit()
    return made
