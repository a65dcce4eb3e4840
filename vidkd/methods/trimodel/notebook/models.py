"""The three networks of a notebook: found by name or fetched, loaded whole or refused."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from vidkd.artefacts import file_sha256
from vidkd.backbones.download import DRIVE, DRIVE_PAGE, download
from vidkd.backbones.fetch import DownloadError, Remote, fetch
from vidkd.backbones.hub_files import newest_commit
from vidkd.config.backbones import BackboneSettings, WeightsSettings
from vidkd.config.training import is_weights_file
from vidkd.engine.efficiency import count_parameters
from vidkd.errors import UserError
from vidkd.methods.trimodel.model import image_processor, load_videomae, pretrained_student, save
from vidkd.methods.trimodel.notebook.config import TrainingArguments, TriModelConfig, student_settings
from vidkd.methods.trimodel.settings import ASSISTANT, TEACHER

log = logging.getLogger(__name__)

_AMD_FILE, _AMD_DRIVE = Path("ssv2_models/amd_vit_s_ssv2.pth"), "1ynDyu3K_INoZjaNLzFIaYCo6kjBOwG__"
"""AMD's ViT-S, fine-tuned on Something-Something v2, of its model zoo: where it goes, and its id there."""

_AMD_WIDTH = 384


class TriModelDistillationFramework:
    """Student, teacher and assistant.

    Attributes:
        config: what was asked for.
        classes: names, by label id.
        frames: of a clip.
        backbones: settings of the frozen networks that have a weight, by TEACHER and ASSISTANT.
        parameters: how many each of these has.
        start: settings of what the student starts from.
        student: the student; the trained one once a trainer has trained it.
        image_processor: its preprocessing, as transformers has it.
    """

    def __init__(
        self,
        config: TriModelConfig,
        num_labels: int,
        label2id: Mapping[str, int],
        id2label: Mapping[int, str],
        frames: int = 16,
    ) -> None:
        """Find the networks, fetch what is not here, and load each once to see that it can be.

        Args:
            config: the networks and the objective.
            num_labels: classes.
            label2id: number of each class.
            id2label: the same the other way round.
            frames: of a clip, of all three networks.

        Raises:
            UserError: a network cannot be had or is not loaded whole, or the labels do not fit together.
        """
        self.config, self.frames = config, frames
        self.classes = _classes(num_labels, label2id, id2label)
        self.start = located(config.student_model_name, "student", frames)
        self.backbones = {name: located(place, name, frames) for name, place in _places(config).items()}
        download(WeightsSettings(backbones={"student": self.start, **self.backbones}))
        settings = student_settings(config, TrainingArguments.model_validate({}), frames)
        self.student = pretrained_student(settings, self.start, num_labels)
        self.image_processor = image_processor(self.student, settings.eval_crop)
        networks = {name: load_videomae(b, frames, eager=False) for name, b in self.backbones.items()}
        if ASSISTANT in networks and config.assistant_model_path is None:
            _check_size(networks[ASSISTANT].spec.width)
        self.parameters = {name: count_parameters(found.network) for name, found in networks.items()}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the student as transformers does: `from_pretrained` of the folder gives the same logits."""
        settings = student_settings(self.config, TrainingArguments.model_validate({}), self.frames)
        save(self.student, self.classes, settings.eval_crop, Path(folder))


def _places(config: TriModelConfig) -> dict[str, str]:
    """Where the networks that have a weight are."""
    found = {TEACHER: config.teacher_model_name} if TEACHER in config.sources else {}
    if ASSISTANT in config.sources:
        found[ASSISTANT] = config.assistant_model_path or _fetched_assistant()
    return found


def located(place: str, name: str, frames: int) -> BackboneSettings:
    """The network at `place`: a folder, a file, or `owner/name` of the hub; see `newest_commit`.

    Raises:
        UserError: there is no such network.
    """
    if Path(place).is_dir():
        return _videomae(frames, folder=place)
    if Path(place).is_file():
        return _videomae(frames, file=place, sha256=file_sha256(Path(place)))
    if is_weights_file(place) or place.count("/") != 1 or place.startswith((".", "/")):
        raise UserError(f"{name}: {place} does not exist: give a file, a folder, or owner/name of the hub")
    try:
        commit = newest_commit(place)
    except DownloadError as error:
        raise UserError(
            f"{name}: {place} is not on this machine, and {error}. Fetch it where there is network, or give "
            "a folder with its files."
        ) from error
    log.info("%s: %s at %s", name, place, commit)
    return _videomae(frames, hub=place, revision=commit)


def _videomae(frames: int, **source: str) -> BackboneSettings:
    return BackboneSettings.model_validate({"kind": "videomae", "frames": frames, **source})


def _fetched_assistant() -> str:
    """AMD's ViT-S, fetched unless it is here. Nobody publishes its sum: a partial load would be refused.

    Raises:
        UserError: it is not to be had.
    """
    if not _AMD_FILE.is_file():
        try:
            fetch(Remote(DRIVE.format(_AMD_DRIVE), _AMD_FILE, ""), "the assistant")
        except DownloadError as error:
            raise UserError(
                f"the assistant: {error}. Get it from {DRIVE_PAGE.format(_AMD_DRIVE)} in another way and "
                f"place it at {_AMD_FILE.absolute()}, or give assistant_model_path."
            ) from error
    return str(_AMD_FILE)


def _check_size(width: int) -> None:
    if width != _AMD_WIDTH:
        raise UserError(
            f"the assistant: {_AMD_FILE} is a network of width {width}, and AMD's ViT-S has {_AMD_WIDTH}: it "
            "is another file. Remove it to have the ViT-S fetched, or name it as assistant_model_path."
        )


def _classes(num_labels: int, label2id: Mapping[str, int], id2label: Mapping[int, str]) -> list[str]:
    if sorted(id2label) != list(range(num_labels)):
        raise UserError(f"id2label: expected the numbers 0 to {num_labels - 1}, found {sorted(id2label)}")
    if {name: number for number, name in id2label.items()} != dict(label2id):
        raise UserError("label2id and id2label do not say the same: take both from load_label_mappings")
    return [id2label[number] for number in range(num_labels)]
