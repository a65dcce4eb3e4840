"""The head of a frozen network that teaches: from features of frames to logits.

A module of its own: predicting a student does without all that fits a head.

Shapes in names: B clips, T frames, D features, K classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidkd.config.teacher import Head
from vidkd.engine.run import read_config
from vidkd.engine.weights import load_covered, read_file
from vidkd.errors import UserError
from vidkd.features.meta import FeatureMeta
from vidkd.methods.probes.model import LinearProbe

if TYPE_CHECKING:
    from vidkd.backbones.protocol import Backbone

HEADS: tuple[Head, ...] = get_args(Head)


class TeacherOutput(NamedTuple):
    """The output of a teacher for clips: logits (B, K), features (B, D), frame_features (B, T, D)."""

    logits: Tensor
    features: Tensor
    frame_features: Tensor


class TeacherHead(nn.Module):
    """Turns features of frames into logits, by one of `heads`; only their mean over time matters."""

    text: Tensor
    scale: Tensor

    def __init__(self, width: int, n_classes: int, head: Head, *, texts: bool) -> None:
        """Make a head without weights.

        Args:
            width: D.
            n_classes: K.
            head: the one that forward uses.
            texts: whether it knows class names, as that of a CLIP; else there is the linear head alone.
        """
        super().__init__()
        self.head = head
        self.heads: tuple[Head, ...] = HEADS if texts else ("probe",)
        if texts:
            self.register_buffer("text", torch.zeros(n_classes, width))
            self.register_buffer("scale", torch.ones(()))
        self.probe = LinearProbe(width, n_classes)

    def forward(self, frame_BTD: Tensor) -> TeacherOutput:
        """Give logits of clips, and the features that they were made from."""
        frame_BTD = frame_BTD.float()
        feature_BD = frame_BTD.mean(dim=1)
        return TeacherOutput(self.logits(feature_BD, self.head), feature_BD, frame_BTD)

    def logits(self, feature_BD: Tensor, head: Head) -> Tensor:
        """Compute logits (B, K) of one of `heads`; those of average are logarithms of probabilities."""
        if head == "zero_shot":
            zero_shot_BK: Tensor = self.scale * F.normalize(feature_BD, dim=1) @ self.text.T
            return zero_shot_BK
        if head == "probe":
            probe_BK: Tensor = self.probe(feature_BD.unsqueeze(1))
            return probe_BK
        both = [self.logits(feature_BD, one).log_softmax(1) for one in ("zero_shot", "probe")]
        return torch.stack(both).logsumexp(0) - torch.tensor(2.0).log()


DECIDING = ("weights_sha256", "preprocessing", "tokens")
"""What of FeatureMeta makes features others to a head; not the number of frames, whose mean it sees."""


def load_head(weights: Path) -> TeacherHead:
    """Load a head that fit_teacher made, in evaluation mode.

    Raises:
        UserError: a file is missing, damaged or none of a teacher's head.
    """
    config, state = head_config(weights), read_file(weights)
    head = TeacherHead(
        config["width"], len(config["classes"]), config["head"], texts=bool(config.get("words"))
    )
    load_covered(head, state, (), str(weights))
    return head.eval().requires_grad_(False)


def head_config(weights: Path) -> dict[str, Any]:
    """Read the `config.json` beside the head.

    Raises:
        UserError: there is none, or it is none of a teacher's head.
    """
    config = read_config(weights)
    if missing := {"width", "classes", "head", "features", "gate"} - config.keys():
        raise UserError(
            f"{weights} is no head of a teacher: its config.json has no {', '.join(sorted(missing))}. Give "
            "the model.safetensors of fit_teacher."
        )
    return config


def check_gate(weights: Path, role: str, setting: str) -> None:
    """Refuse a network that knows hardly more than which class is the largest.

    Args:
        weights: of its head.
        role: teacher or assistant.
        setting: place of the margin in the configuration.

    Raises:
        UserError: says both accuracies and what can be done.
    """
    config = head_config(weights)
    if not config["gate"]["passed"]:
        choice = f"{role}, head or label" if config.get("words") else f"{role} or label"
        raise UserError(
            f"the {role} is refused: {config['gate']['reason']}. A student would learn noise from it. Choose "
            f"another {choice}; {setting} is the gate."
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


def check_network(weights: Path, network: Backbone) -> None:
    """Refuse a network that computes other features than the head was made for.

    Raises:
        UserError: its weights are not those of the features.
    """
    made = FeatureMeta.read(head_config(weights)["features"])
    if made.weights_sha256 != network.weights_sha256:
        raise UserError(
            f"{weights} is a head for a network with weights {made.weights_sha256}, and "
            f"{network.origin.name} has {network.weights_sha256}: give the one that it was made for, or make "
            "it again."
        )
