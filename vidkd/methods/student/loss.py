"""What a student learns from: the features, the response and the labels of seed 001, and modern responses.

Shapes in names: B clips, T frames, D features, K classes. Every function gives the mean over clips.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from vidkd.data.tables import UNLABELLED
from vidkd.methods.student.model import StudentOutput
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.teacher_model import TeacherOutput


def loss_terms(
    student: StudentOutput, teacher: TeacherOutput | None, label_B: Tensor, settings: StudentSettings
) -> dict[str, Tensor]:
    """Compute the weighted terms, which add up to the loss; one of weight 0, or of no clip, is left out.

    Args:
        student: its output for the clips.
        teacher: its output for them; None where no term needs it.
        label_B: class indices, UNLABELLED where a clip has none.
        settings: weights and forms.
    """
    terms: dict[str, Tensor] = {}
    if teacher is not None:
        if settings.alpha:
            terms["feature_loss"] = settings.alpha * feature_distance(
                student.features, teacher.features, settings.feature
            )
        if settings.hint:
            terms["hint_loss"] = settings.hint * feature_distance(
                student.frame_features, teacher.frame_features, settings.feature
            )
        if settings.beta:
            terms["response_loss"] = settings.beta * response(
                student.logits, teacher.logits, label_B, settings
            )
    known_B = label_B != UNLABELLED
    if settings.gamma and known_B.any():
        terms["task_loss"] = settings.gamma * F.cross_entropy(
            student.logits[known_B].float(), label_B[known_B]
        )
    return terms


def feature_distance(student_BD: Tensor, teacher_BD: Tensor, form: str) -> Tensor:
    """Squared distance of unit vectors (…, D): its mean over D (mse, seed 001), or its sum (cosine)."""
    difference = F.normalize(student_BD.float(), dim=-1) - F.normalize(teacher_BD.float(), dim=-1)
    squares = difference.square()
    return squares.mean() if form == "mse" else squares.sum(-1).mean()


def response(student_BK: Tensor, teacher_BK: Tensor, label_B: Tensor, settings: StudentSettings) -> Tensor:
    """The response term that `settings` name."""
    student_BK, teacher_BK = student_BK.float(), teacher_BK.float()
    if settings.logit_standardisation:
        student_BK, teacher_BK = _standardised(student_BK), _standardised(teacher_BK)
    return RESPONSES[settings.response](student_BK, teacher_BK, label_B, settings)


def _standardised(logit_BK: Tensor) -> Tensor:
    """Logits with mean 0 and deviation 1 in each clip (Sun et al., "Logit Standardization", CVPR 2024)."""
    deviation = logit_BK.std(dim=1, correction=0, keepdim=True)
    return (logit_BK - logit_BK.mean(dim=1, keepdim=True)) / (deviation + 1e-7)


def kd(student_BK: Tensor, teacher_BK: Tensor, label_B: Tensor, settings: StudentSettings) -> Tensor:
    """T² KL(teacher ‖ student) of classes softened by T (Hinton et al. 2015; seed 001)."""
    return _softened_kl(student_BK, teacher_BK, settings.temperature).mean()


def dkd(student_BK: Tensor, teacher_BK: Tensor, label_B: Tensor, settings: StudentSettings) -> Tensor:
    """KL of target against all others, and KL among the others (Zhao et al., "Decoupled KD", CVPR 2022).

    A clip without a label has no target: it has the KL of kd.
    """
    known_B = label_B != UNLABELLED
    losses = [_softened_kl(student_BK[~known_B], teacher_BK[~known_B], settings.temperature)]
    if known_B.any():
        losses.append(_decoupled(student_BK[known_B], teacher_BK[known_B], label_B[known_B], settings))
    return torch.cat(losses).mean()


def dist(student_BK: Tensor, teacher_BK: Tensor, label_B: Tensor, settings: StudentSettings) -> Tensor:
    """T² (1 - Pearson) within clips and within classes (Huang et al., "DIST", NeurIPS 2022)."""
    temperature = settings.temperature
    student_BK, teacher_BK = ((x_BK / temperature).softmax(1) for x_BK in (student_BK, teacher_BK))
    within_clips, within_classes = settings.dist_weights
    terms = within_clips * (1 - _pearson(student_BK, teacher_BK)).mean()
    if len(student_BK) > 1:  # one clip has no correlation over clips
        terms = terms + within_classes * (1 - _pearson(student_BK.T, teacher_BK.T)).mean()
    return temperature**2 * terms


RESPONSES: dict[str, Callable[[Tensor, Tensor, Tensor, StudentSettings], Tensor]] = {
    "kd": kd,
    "dkd": dkd,
    "dist": dist,
}


def _softened_kl(student_BK: Tensor, teacher_BK: Tensor, temperature: float) -> Tensor:
    """T² KL of each clip (B)."""
    student_BK, teacher_BK = ((x_BK / temperature).log_softmax(1) for x_BK in (student_BK, teacher_BK))
    kl_BK = F.kl_div(student_BK, teacher_BK, reduction="none", log_target=True)
    return temperature**2 * kl_BK.sum(1)


def _decoupled(student_BK: Tensor, teacher_BK: Tensor, label_B: Tensor, settings: StudentSettings) -> Tensor:
    """The two terms of dkd for each clip (B)."""
    temperature = settings.temperature
    target_BK = F.one_hot(label_B, student_BK.shape[1]).bool()
    student, teacher = (_parts(x_BK / temperature, target_BK) for x_BK in (student_BK, teacher_BK))
    target, others = (
        F.kl_div(own, other, reduction="none", log_target=True).sum(1)
        for own, other in zip(student, teacher, strict=True)
    )
    of_target, of_others = settings.dkd_weights
    return temperature**2 * (of_target * target + of_others * others)


def _parts(logit_BK: Tensor, target_BK: Tensor) -> tuple[Tensor, Tensor]:
    """Log probabilities of target and rest (B, 2), and of the others among themselves (B, K - 1)."""
    log_BK = logit_BK.log_softmax(1)
    rest_BK = logit_BK[~target_BK].view(len(logit_BK), -1)
    rest_B = rest_BK.logsumexp(1) - logit_BK.logsumexp(1)
    return torch.stack([log_BK[target_BK], rest_B], dim=1), rest_BK.log_softmax(1)


def _pearson(one_BK: Tensor, other_BK: Tensor) -> Tensor:
    """Correlation within each row (B)."""
    one_BK, other_BK = (x_BK - x_BK.mean(1, keepdim=True) for x_BK in (one_BK, other_BK))
    return F.cosine_similarity(one_BK, other_BK, dim=1, eps=1e-8)
