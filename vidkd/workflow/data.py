"""What the rules of videos, frames, features and small networks ask."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from vidkd.backbones.pretrain.registry import module_of as module_of_network
from vidkd.backbones.registry import module_of
from vidkd.config.base import canonical
from vidkd.config.checkpoints import CheckpointSettings
from vidkd.config.data import SPLITS, DataSettings, DemoSettings
from vidkd.data.adapters.folder import watched_folders
from vidkd.errors import UserError
from vidkd.methods.base import Plan
from vidkd.methods.needs import shards
from vidkd.paths import Paths
from vidkd.workflow.asking import Wildcards, code, or_sentence


class DataSteps:
    """The data set and the frozen networks of a configuration, asked by the rules."""

    FIRST = 500
    """Priority of networks that are trained here: they wait for these, and much waits for the networks."""
    SOURCE_SHARDS = 2

    def __init__(self, plan: Plan) -> None:
        self.plan, self.settings, self.paths = plan, plan.settings, plan.paths
        self.source = Paths(plan.paths.source)
        # Weights can be fetched before the data set is there.
        if "download_weights" not in sys.argv:
            or_sentence(self._check_data)

    @property
    def shards(self) -> range:
        """Numbers of the shards."""
        return range(self.settings.data.n_shards)

    @property
    def is_demo(self) -> bool:
        """Whether the videos are generated."""
        return self.settings.data.adapter == "demo"

    @property
    def data_root(self) -> str:
        """Folder of the videos."""
        return self.paths.demo if self.is_demo else self.settings.data.root

    @property
    def annotations_root(self) -> str:
        """Folder of the annotation files."""
        # As written, because the folder above `root` is another one where `root` is a link.
        data = self.settings.data
        return self.paths.demo if self.is_demo else os.path.normpath(Path(data.root, data.annotations))

    def annotations(self, wildcards: Wildcards) -> list[str]:
        """List what a listing is made from: a change of one of these lists the videos again."""
        data = self.settings.data
        if self.is_demo:
            return [self.paths.demo_annotations.format(split=split) for split in SPLITS]
        found: Iterable[Any]
        if data.adapter == "folder":
            found = or_sentence(watched_folders, Path(data.root))
        elif data.adapter == "xd_violence":
            found = Path(data.root).glob("**/")
        else:
            files = Path(self.annotations_root).iterdir()
            found = [file for file in files if file.suffix in (".csv", ".json", ".txt")]
        # Snakemake takes braces for a wildcard and fails on names that are not UTF-8: such a folder is not
        # watched; the listing reads it, or says what is wrong with its name.
        names = sorted(map(str, found))
        return [name for name in names if name.isprintable() and "{" not in name]

    def demo_settings(self, wildcards: Wildcards) -> str:
        """The settings of one split of the demo: the sizes of the others are none of its business."""
        return _one_split(self.settings.demo, wildcards.split)

    def video_source(self, wildcards: Wildcards) -> str:
        """What makes the videos, for rules that read them: when only pixels change, the listing stays."""
        return self._look(self.settings.demo) if self.is_demo else ""

    def _look(self, demo: DemoSettings) -> str:
        """What decides the pixels of generated videos."""
        values = demo.model_dump(mode="json", exclude={*SPLITS, "low_label"})
        return json.dumps([values, code("generate_demo")])

    def label_settings(self, wildcards: Wildcards) -> str:
        """The settings of the data set that decide a label, and which training videos are marked."""
        away = {"n_shards", "max_excluded", "max_missing"}
        values = self.settings.data.model_dump(mode="json", exclude=away)
        return json.dumps(values | {"label": wildcards.label}, sort_keys=True)

    def frames(self, split: str) -> list[str]:
        """The frame stores of a split."""
        return shards(self.plan.frames(split)[split])

    def adapter_code(self, script: str) -> str:
        """Digest a script that reads a data set by its adapter."""
        return code(script, f"vidkd.data.adapters.{self.settings.data.adapter}")

    # ---- networks that are trained here

    def source_settings(self, wildcards: Wildcards) -> str:
        """The settings of one split of the source videos."""
        return _one_split(self.settings.source.demo, wildcards.split)

    def source_look(self, wildcards: Wildcards) -> str:
        """What makes the source's videos."""
        return self._look(self.settings.source.demo)

    def source_data(self, wildcards: Wildcards) -> str:
        """Say how the source's videos are listed."""
        return canonical(DataSettings(adapter="demo", n_shards=self.SOURCE_SHARDS))  # type: ignore[call-arg]

    def checkpoint(self, wildcards: Wildcards) -> CheckpointSettings:
        """The settings of a small network that is trained here."""
        return self.settings.checkpoints[wildcards.checkpoint]

    def checkpoint_settings(self, wildcards: Wildcards) -> str:
        """The same as canonical JSON."""
        return canonical(self.checkpoint(wildcards))

    def repeated(self, option: str, name: str) -> Callable[..., str]:
        """Make a params function: `option` before each file of an input."""
        return lambda wildcards, input: " ".join(f"{option}={file}" for file in input[name])

    def checkpoint_code(self, wildcards: Wildcards) -> str:
        """Digest its training, and its own kind alone: no import names it."""
        return code("train_checkpoint", module_of_network(self.checkpoint(wildcards).kind))

    def checkpoint_threads(self, wildcards: Wildcards) -> int:
        """Cores of its training."""
        return max(self.settings.compute.workers, self.checkpoint(wildcards).cpu_threads)

    # ---- frozen networks

    def backbone_settings(self, wildcards: Wildcards) -> str:
        """The settings of a frozen network as canonical JSON."""
        return canonical(self.plan.backbone(wildcards.backbone))

    def backbone_files(self, wildcards: Wildcards) -> list[str]:
        """Its files on this disk."""
        return self.plan.network_files(wildcards.backbone)

    def backbone_threads(self, wildcards: Wildcards) -> int:
        """Cores of a job that runs it."""
        return max(self.settings.compute.workers, self.plan.backbone(wildcards.backbone).cpu_threads)

    def backbone_code(self, wildcards: Wildcards) -> str:
        """Digest what caches its features, and its own kind alone: no import names it."""
        return code("cache_features", module_of(self.plan.backbone(wildcards.backbone).kind))

    def all_features(self, _wildcards: Wildcards) -> list[str]:
        """List every shard of features."""
        if not self.settings.backbones:
            raise UserError(
                "the configuration has no backbones: add a section `backbones`, see config/README.md."
            )
        stores = (self.plan.features(name, *SPLITS).values() for name in self.settings.backbones)
        return [shard for store in chain.from_iterable(stores) for shard in shards(store)]

    def _check_data(self) -> None:
        """Say at once what is missing; Snakemake would name its rule and input only."""
        data = self.settings.data
        if self.is_demo:
            return
        needed = [("data.root", data.root)]
        if data.adapter not in ("folder", "xd_violence"):
            needed.append(("data.annotations", self.annotations_root))
        for option, folder in needed:
            if not Path(folder).is_dir():
                raise UserError(
                    f"{option}: there is no folder {folder}. Put the data set there,"
                    f" or set {option}; config/README.md shows what each adapter expects."
                )
            if "{" in str(folder):
                raise UserError(f"{option}: rename {folder}: braces mean a wildcard here.")


def _one_split(demo: DemoSettings, split: str) -> str:
    """The settings of one split of generated videos."""
    return json.dumps(demo.model_dump(mode="json", exclude=set(SPLITS) - {split}), sort_keys=True)
