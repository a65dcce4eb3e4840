"""The teacher: a frozen CLIP, the mean of its frames, and a head that was made for it and measured.

A head that is random, as in the public code of seeds 000 and 001, makes targets of noise. Here it is made of
class names (zero_shot), fitted on cached training features (probe), or both (average).

Shapes in names: B clips, T frames, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidkd.data.augment import resized
from vidkd.data.clips import Batch
from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.errors import UserError
from vidkd.evaluate.efficiency import count_parameters
from vidkd.features.batches import FeatureSource
from vidkd.features.meta import FeatureMeta
from vidkd.methods.probes.model import LinearProbe
from vidkd.methods.student.settings import Head
from vidkd.methods.student.taught import Taught

if TYPE_CHECKING:  # open_clip, which predicting a student does without
    from vidkd.backbones.clip import CLIP

HEADS: tuple[Head, ...] = get_args(Head)

DECIDING = ("weights_sha256", "preprocessing", "tokens")
"""What of FeatureMeta makes features others to a head; not the number of frames, whose mean it sees."""


class TeacherHead(nn.Module):
    """From features of frames to logits, by any of HEADS; only their mean over time matters."""

    text: Tensor
    scale: Tensor

    def __init__(self, width: int, n_classes: int, head: Head) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("text", torch.zeros(n_classes, width))
        self.register_buffer("scale", torch.ones(()))
        self.probe = LinearProbe(width, n_classes)

    def forward(self, frame_BTD: Tensor) -> Taught:
        """What the teacher makes of clips."""
        frame_BTD = frame_BTD.float()
        feature_BD = frame_BTD.mean(dim=1)
        return Taught(self.logits(feature_BD, self.head), feature_BD, frame_BTD)

    def logits(self, feature_BD: Tensor, head: Head) -> Tensor:
        """Logits (B, K) of one of HEADS; those of average are logarithms of probabilities."""
        if head == "zero_shot":
            zero_shot_BK: Tensor = self.scale * F.normalize(feature_BD, dim=1) @ self.text.T
            return zero_shot_BK
        if head == "probe":
            probe_BK: Tensor = self.probe(feature_BD.unsqueeze(1))
            return probe_BK
        both = [self.logits(feature_BD, one).log_softmax(1) for one in ("zero_shot", "probe")]
        return torch.stack(both).logsumexp(0) - torch.tensor(2.0).log()


def load_head(weights: Path) -> TeacherHead:
    """A head that fit_teacher_head made, in evaluation mode.

    Raises:
        UserError: a file is missing, damaged or none of a teacher's head.
    """
    config, state = head_config(weights), read_file(weights)
    head = TeacherHead(config["width"], len(config["classes"]), config["head"])
    load_covered(head, state, (), str(weights))
    return head.eval().requires_grad_(False)


def whole_teacher(network: CLIP, head: TeacherHead) -> nn.Sequential:
    """From uint8 clips (B, T, 3, size, size) to what the teacher makes of them."""
    return nn.Sequential(network, nn.Flatten(1, 2), head)


def count_teacher(network: CLIP, head: TeacherHead) -> int:
    """Number of parameters of the image tower and the head, the class names among them."""
    return count_parameters(network.network.visual) + count_parameters(head) + head.text.numel()


def head_config(weights: Path) -> dict[str, Any]:
    """The `config.json` beside the head.

    Raises:
        UserError: there is none, or it is none of a teacher's head.
    """
    config = read_config(weights)
    if missing := {"width", "classes", "head", "features", "gate"} - config.keys():
        raise UserError(
            f"{weights} is no head of a teacher: its config.json has no {', '.join(sorted(missing))}. Give "
            "the model.safetensors of fit_teacher_head."
        )
    return config


def check_gate(weights: Path) -> None:
    """The teacher gate: refuse one that knows hardly more than which class is the largest.

    Raises:
        UserError: says both accuracies and what can be done.
    """
    gate = head_config(weights)["gate"]
    if not gate["passed"]:
        raise UserError(
            f"the teacher is refused: {gate['reason']}. A student would learn noise from it. Choose another "
            "teacher, head or label; student.teacher.margin is the gate."
        )


def check_features(weights: Path, given: FeatureMeta) -> None:
    """Refuse features of another network than the head was made for.

    Raises:
        UserError: says what differs, and both values.
    """
    made = FeatureMeta.read(head_config(weights)["features"])
    if wrong := made.differing(given, DECIDING):
        raise UserError(
            f"{weights} is a head for other features than these of {given.backbone}: it was made for "
            f"{'; '.join(wrong)}. Give the features that it was made for, or make it again."
        )


def check_network(weights: Path, network: CLIP) -> None:
    """The same for a network that computes the features now.

    Raises:
        UserError: its weights are not those of the features.
    """
    made = FeatureMeta.read(head_config(weights)["features"])
    if made.weights_sha256 != network.weights_sha256:
        raise UserError(
            f"{weights} is a head for a network with weights {made.weights_sha256}, and "
            f"{network.origin.name} has {network.weights_sha256}: give the teacher that it was made for, or "
            "make it again."
        )


class OnlineTeacher:
    """The teacher on the very clip of the student, resized to the teacher's own size.

    No module, so that neither the optimizer nor the checkpoints of a student's training know it.
    """

    def __init__(self, network: CLIP, head: TeacherHead, device: torch.device) -> None:
        self.network, self.head = network.to(device), head.to(device)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Taught:
        """What it makes of a batch with one frame count."""
        (clip_BTCHW,) = batch.clips.values()
        frame_NCHW = resized(clip_BTCHW.flatten(0, 1), self.network.spec.size)
        clip_BTCHW = frame_NCHW.unflatten(0, clip_BTCHW.shape[:2])
        # In float32, as its head was made and measured, whatever the student computes in.
        with torch.autocast(clip_BTCHW.device.type, enabled=False):
            feature_BTD = self.network.encode(self.network.normalise(clip_BTCHW)).squeeze(2)
            taught: Taught = self.head(feature_BTD)
        return taught


class CachedTeacher:
    """The teacher's cached features of the same videos, found by their ids."""

    def __init__(
        self, store: FeatureSource, video_ids: Collection[str], head: TeacherHead, device: torch.device
    ) -> None:
        """Find the rows.

        Args:
            store: the cached features.
            video_ids: of each row that a batch may have, in their order.
            head: of the teacher.
            device: of the training.

        Raises:
            UserError: lists videos that the cache lacks, or says that it is damaged.
        """
        self.store, self.rows = store, store.rows_of(list(video_ids))
        self.head, self.device = head.to(device), device
        store.verify()

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Taught:
        """What it made of the videos of a batch."""
        feature_BTD = self.store.rows(self.rows[batch.row.numpy()])
        with torch.autocast(self.device.type, enabled=False):
            taught: Taught = self.head(feature_BTD.to(self.device))
        return taught
