"""Export: a trained head, its converters and its student in one folder; see `vidkd.methods.fusion.bundle`."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidkd.artefacts import file_sha256
from vidkd.backbones.extract import feature_meta
from vidkd.backbones.protocol import Backbone
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.config.data import FrameSettings
from vidkd.data.frame_writer import store_attributes
from vidkd.engine.run import read_config
from vidkd.errors import UserError
from vidkd.features.meta import FeatureMeta
from vidkd.files import atomic_folder, write_text
from vidkd.methods.converters.load import DECIDING, check_made_for, converter_config
from vidkd.methods.fusion.bundle import CONFIG, RUN, VERSION, is_bundle, load_bundle, sum_of
from vidkd.methods.fusion.predict import load_fusion
from vidkd.methods.inputs import Inputs
from vidkd.video.decode import decoder_version

log = logging.getLogger(__name__)

_SOURCES = ("hub", "revision", "folder", "file", "checkpoint", "sha256", "url", "drive")
"""Of a backbone's settings: where it was, which is now in the bundle."""


_HEAD, _STUDENT = "head", "student"
"""Names of the two among the weights and networks; a converter is called by its teacher."""


def export(inputs: Inputs, frames: FrameSettings, output: Path) -> None:
    """Write a bundle, whole or not at all.

    Args:
        inputs: weights of the `head` and of its frozen converters, by teacher; the network `student`, whose
            features the head was trained on.
        frames: which frames of a video were kept.
        output: the folder; a bundle that is there is replaced.

    Raises:
        UserError: the parts were not made for each other, one is missing or damaged, the head needs real
            teachers, or the folder is something else or cannot be written.
    """
    if output.exists() and not is_bundle(output):
        raise UserError(f"{output} is there and is no bundle: name another folder, or remove it")
    weights, network = inputs.weights(_HEAD), inputs.network(_STUDENT)
    if network is None:
        raise UserError(f"the student is needed: give --network {_STUDENT}=JSON, its settings")
    converters = {name: inputs.weights(name) for name in inputs.runs if name != _HEAD}
    head, config, student = load_fusion(weights), read_config(weights), network.settings
    backbone = load_backbone(student)
    given = _meta(config, backbone, student, frames)
    _check_student(weights, config, given)
    needed = _needed(weights, config, converters, given)
    files = {f"head/{name}": weights.with_name(name) for name in RUN}
    for teacher, path in needed.items():
        files |= {f"converters/{teacher}/{name}": path.with_name(name) for name in RUN}
    of_student = student_files(backbone)
    files |= {f"student/{path.name}": path for path in of_student}
    with atomic_folder(output) as folder:
        for name, path in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        about = {
            "bundle": VERSION, "fusion": config["run"], "seed": config["seed"],
            "classes": config["classes"], "student": config["student"], "converters": sorted(needed),
            "backbone": moved(student, of_student[0]), "frames": frames.model_dump(mode="json"),
            "files": {name: file_sha256(folder / name) for name in sorted(files)},
        }  # fmt: skip
        write_text(folder / CONFIG, json.dumps(about | {"sha256": sum_of(about)}, indent=2) + "\n")
        load_bundle(folder)
    log.info("%s: %d files, head with %d own converters", output, len(files), len(head.converters))


def _meta(
    config: Mapping[str, Any], backbone: Backbone, settings: BackboneSettings, frames: FrameSettings
) -> FeatureMeta:
    """What the student's features of videos will be."""
    decoder = decoder_version(frames.decoder)
    digest = str(store_attributes(frames, decoder)["digest"])
    return feature_meta(backbone, config["student"], settings, digest, decoder)


def _check_student(weights: Path, config: Mapping[str, Any], given: FeatureMeta) -> None:
    """Refuse a student, or frames of it, that the head was not trained on."""
    if config["student"] not in config["sources"]:
        _check_converted(weights, config, given)
        return
    trained = FeatureMeta.read(config["sources"][config["student"]]["meta"])
    if wrong := trained.differing(given, (*DECIDING, "frames_digest")):
        raise UserError(
            f"{weights} was trained on other features of {config['student']}: {'; '.join(wrong)}. Give the "
            "settings of the backbone and of the frames that these were cached with."
        )


def _check_converted(weights: Path, config: Mapping[str, Any], given: FeatureMeta) -> None:
    """The same where the student is only converted: what is converted knows the digest of what it was."""
    for name, source in config["sources"].items():
        made = FeatureMeta.read(source["meta"])
        # Rounding and decoder are no part of what is asked where the student is an input of its own either.
        alike = replace(given, dtype=made.dtype, decoder=made.decoder)
        if made.preprocessing.get("student", alike.digest) != alike.digest:
            raise UserError(
                f"{weights} has {name} converted from other features of {config['student']} than these "
                f"settings give: weights {made.preprocessing['student_weights_sha256']} and frames "
                f"{made.frames_digest} then, weights {given.weights_sha256} and frames "
                f"{given.frames_digest} now, or another preprocessing. Give the settings of the backbone and "
                "of the frames that these were cached with."
            )


def _needed(
    weights: Path, config: Mapping[str, Any], given: Mapping[str, Path], student: FeatureMeta
) -> dict[str, Path]:
    """The frozen converters of a head, each the one that it was trained with."""
    sources = config["sources"]
    if real := [name for name, source in sources.items() if source["kind"] == "real"]:
        raise UserError(
            f"{weights} needs the features of {', '.join(real)} itself, so that these would have to run: "
            "export a head of converted features"
        )
    needed = {name: source for name, source in sources.items() if source["kind"] == "converted"}
    if missing := sorted(needed.keys() - given.keys()):
        raise UserError(
            f"{weights} has converted features of {', '.join(missing)} as inputs: give their converters, "
            f"--trained {missing[0]}=…/model.safetensors"
        )
    for name, source in needed.items():
        made = converter_config(given[name])
        if source["weights_sha256"] != (found := file_sha256(given[name])):
            raise UserError(
                f"{given[name]} is not the converter to {name} that {weights} was trained with: its sha256 "
                f"is {found}, not {source['weights_sha256']}. Give that one, or train the head again."
            )
        check_made_for(given[name], made, student)
    return {name: given[name] for name in needed}


def student_files(backbone: Backbone) -> list[Path]:
    """Name the files that the student is loaded from: its weights first, the index of split weights last."""
    files = list(backbone.origin.files)
    indices = sorted(backbone.origin.folder.glob("*.index.json"))
    return files + [path for path in indices if path not in files]


def moved(settings: BackboneSettings, weights: Path) -> dict[str, Any]:
    """Return settings whose source is below the bundle."""
    kept = settings.model_dump(mode="json", exclude=set(_SOURCES))
    if settings.file is not None:
        return kept | {"file": f"student/{weights.name}", "sha256": settings.sha256}
    return kept | {"folder": "student"}
