"""Pre-training as the engine sees it: a batch of source clips in, named loss terms out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidkd.backbones.pretrain.captions import ADJECTIVES, LENGTH, LOOKS, draw_captions
from vidkd.backbones.pretrain.trainable import Trainable
from vidkd.data.clips import Batch
from vidkd.data.demo_specs import COLOURS, MOTIONS, SHAPES, TEXTURES

NAMES: dict[str, tuple[str, ...]] = {
    "motion": MOTIONS,
    "shape": SHAPES,
    "texture": TEXTURES,
    "colour": tuple(COLOURS),
}
"""Values of each label. Their positions here are their numbers, except for the motions: the number of
a motion is its position in the class list of the source, which is sorted."""

PROMPTS = ("a photo of a {}.", "a photo of {}.", "something {}")


class Pretraining(nn.Module):
    """A network with a linear classifier for each label on its mean feature; only the network is kept."""

    def __init__(
        self, trainable: Trainable, videos: Sequence[Mapping[str, str]], weights: Mapping[str, float]
    ) -> None:
        """Take a network into training.

        Args:
            trainable: the network, with random weights.
            videos: row of the annotation file for each training video, in the order of the frame store.
            weights: of the loss of each label; a label of weight 0 has no classifier.
        """
        super().__init__()
        self.backbone = trainable.backbone.requires_grad_(True)
        self.norm = trainable.norm
        self.videos = videos
        self.weights = {label: weight for label, weight in weights.items() if weight}
        width = self.backbone.spec.width
        self.heads = nn.ModuleDict({label: nn.Linear(width, len(NAMES[label])) for label in self.weights})

    def train(self, mode: bool = True) -> Pretraining:
        """Switch the network too, which its backbone would keep in evaluation mode."""
        super().train(mode)
        self.backbone.network.train(mode)
        return self

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Weighted loss terms of a training batch, to be added up."""
        return self.label_terms(self.features(batch), batch)

    def features(self, batch: Batch) -> Tensor:
        """Mean feature (B, D) over time steps and tokens, normed where the network has a norm for it."""
        (clip_BTCHW,) = batch.clips.values()
        token_BTSD = self.backbone.encode(self.backbone.normalise(clip_BTCHW))
        feature_BD: Tensor = self.norm(token_BTSD.mean((1, 2)))
        return feature_BD

    def label_terms(self, feature_BD: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Weighted cross-entropy of each label; only the motion is another one when a clip is mirrored."""
        device = feature_BD.device
        return {
            label: self.weights[label]
            * F.cross_entropy(head(feature_BD), self._wanted(label, batch).to(device))
            for label, head in self.heads.items()
        }

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Scores (B, K) of the values of each label."""
        feature_BD = self.features(batch)
        return {label: head(feature_BD) for label, head in self.heads.items()}

    def _wanted(self, label: str, batch: Batch) -> Tensor:
        return batch.label if label == "motion" else numbers(self.videos, label, batch.row)


class Contrastive(Pretraining):
    """CLIP's objective too, on captions that are drawn anew for each batch.

    Videos of a batch whose captions are the same word for word are each other's positives as well: there are
    far fewer captions than photographs on the web, and they would otherwise be pushed apart.
    """

    def __init__(
        self,
        trainable: Trainable,
        videos: Sequence[Mapping[str, str]],
        weights: Mapping[str, float],
        motions: Sequence[str],
    ) -> None:
        """As `Pretraining`, with the names that the motions have by their numbers."""
        super().__init__(trainable, videos, weights)
        self.motions = motions

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of frames over captions and of captions over frames, half each, and of the labels."""
        captions = self.captions(batch, generator)
        different = sorted(set(captions))
        place_B = torch.tensor([different.index(caption) for caption in captions])
        feature_BD = self.features(batch)
        score_BC = self._scale() * F.normalize(feature_BD, dim=1) @ self._texts(different).T
        target_BC = F.one_hot(place_B, len(different)).float().to(score_BC.device)
        of_texts = F.cross_entropy(score_BC.T, (target_BC / target_BC.sum(0)).T)
        terms = {"image_text": F.cross_entropy(score_BC, target_BC) / 2, "text_image": of_texts / 2}
        return terms | self.label_terms(feature_BD, batch)

    def captions(self, batch: Batch, generator: torch.Generator) -> list[str]:
        """A random caption for each clip, with the motion that it shows, mirrored or not."""
        pairs = zip(batch.row.tolist(), batch.label.tolist(), strict=True)
        shown = [{**self.videos[row], "motion": self.motions[label]} for row, label in pairs]
        return draw_captions(shown, generator)

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Zero-shot scores (B, K): similarity to the mean prompt of each value."""
        image_BD = F.normalize(self.features(batch), dim=1)
        return {label: self._scale() * image_BD @ self._prompts(NAMES[label]).T for label in LOOKS}

    def _scale(self) -> Tensor:
        scale: Tensor = self.backbone.network.logit_scale.exp().clamp(max=100)
        return scale

    def _texts(self, texts: Sequence[str]) -> Tensor:
        token_NL = torch.stack([_tokens(text) for text in texts])
        embedding_ND = self.backbone.network.encode_text(token_NL.to(self.backbone.normalise.mean.device))
        return F.normalize(embedding_ND, dim=1)

    def _prompts(self, names: Sequence[str]) -> Tensor:
        words = [ADJECTIVES.get(name, name) for name in names]
        return F.normalize(
            torch.stack([self._texts([prompt.format(word) for prompt in PROMPTS]).mean(0) for word in words]),
            dim=1,
        )


def numbers(videos: Sequence[Mapping[str, str]], label: str, rows: Tensor) -> Tensor:
    """Of the values (B,) that a label has in these rows, their positions in NAMES."""
    return torch.tensor([NAMES[label].index(videos[row][label]) for row in rows.tolist()])


@cache
def _tokens(text: str) -> Tensor:
    """A training draws from some thousand captions, and tokenising is slow."""
    tokens: Tensor = _tokenizer()([text])[0]
    return tokens


@cache
def _tokenizer() -> Any:
    import open_clip

    return open_clip.SimpleTokenizer(context_length=LENGTH)
