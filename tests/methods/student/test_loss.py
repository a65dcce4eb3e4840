"""Terms against the seed's own lines, and against other ways to work each out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import zscore
from torch.nn import functional as F

from vidkd.data.tables import UNLABELLED
from vidkd.methods.student.loss import feature_distance, loss_terms, response
from vidkd.methods.student.model import StudentOutput
from vidkd.methods.student.settings import StudentSettings
from vidkd.methods.teacher_model import TeacherOutput

B, T, D, K = 8, 5, 512, 12
DEFAULT = StudentSettings()
LABEL = torch.tensor([0, 1, 0, 2, 1, 0, 2, 11])


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def settings(**more):
    return StudentSettings.model_validate(DEFAULT.model_dump() | more)


@pytest.fixture
def seen():
    parts = [random(B, K), random(B, D, seed=1), random(B, T, D, seed=2)]
    return StudentOutput(*(part.requires_grad_() for part in parts), attention=torch.full((B, T), 1 / T))


@pytest.fixture
def taught():
    return TeacherOutput(random(B, K, seed=3), random(B, D, seed=4), random(B, T, D, seed=5))


def test_defaults_are_the_seeds(seen, taught):
    """The lines of seed 001."""
    feature = F.mse_loss(F.normalize(seen.features, dim=-1), F.normalize(taught.features, dim=-1))
    temperature = 3.0
    teacher_soft = F.softmax(taught.logits / temperature, dim=-1)
    student_log_soft = F.log_softmax(seen.logits / temperature, dim=-1)
    soft = F.kl_div(student_log_soft, teacher_soft, reduction="batchmean") * (temperature**2)
    task = F.cross_entropy(seen.logits, LABEL)
    terms = loss_terms(seen, taught, LABEL, DEFAULT)
    wanted = {"feature_loss": 0.5 * feature, "response_loss": 1.0 * soft, "task_loss": 0.1 * task}
    assert set(terms) == set(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(terms[name], value)


def where(loss, wanted, low, high):
    """Where a loss that rises from `low` to `high` is `wanted`."""
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if loss(middle) < wanted else (low, middle)
    return middle


def test_the_seeds_example_gives_its_total():
    """A clip whose losses are 0.0038, 0.0260 and 1.3524 has 0.1631 in all."""
    teacher_D = F.normalize(random(D), dim=0)
    away_D = random(D, seed=1)
    other_D = F.normalize(away_D - away_D @ teacher_D * teacher_D, dim=0)

    def features(angle):
        return (np.cos(angle) * teacher_D + np.sin(angle) * other_D)[None]

    def task(logit):
        return F.cross_entropy(torch.eye(K)[3:4] * logit, torch.tensor([3])).item()

    angle = where(lambda a: feature_distance(features(a), teacher_D[None], "mse").item(), 0.0038, 0, 2)
    logit_1K = torch.eye(K)[3:4] * where(lambda x: -task(x), -1.3524, -9, 9)
    away_1K, label = random(1, K, seed=2), torch.tensor([3])
    scale = where(lambda s: response(logit_1K, logit_1K + s * away_1K, label, DEFAULT).item(), 0.0260, 0, 3)
    seen = StudentOutput(logit_1K, features(angle), features(angle)[:, None], torch.ones(1, 1))
    taught = TeacherOutput(logit_1K + scale * away_1K, teacher_D[None], teacher_D[None, None])
    found = [value.item() for value in loss_terms(seen, taught, label, DEFAULT).values()]
    assert found == pytest.approx([0.5 * 0.0038, 0.0260, 0.1 * 1.3524], abs=1e-6)
    assert f"{sum(found):.4f}" == "0.1631"


def test_the_seeds_mse_of_unrelated_features_looks_small_and_the_sum_does_not():
    student, teacher = random(1000, D), random(1000, D, seed=1)
    assert feature_distance(student, teacher, "mse").item() == pytest.approx(2 / D, rel=0.02)
    cosine = F.cosine_similarity(student, teacher).mean().item()
    found = feature_distance(student, teacher, "cosine").item()
    assert found == pytest.approx(2 * (1 - cosine), rel=1e-5)


def official_dkd(student, teacher, label, alpha, beta, temperature):
    """As the paper's code: probabilities of target and rest, then logits with the target pushed away."""
    target = torch.zeros_like(student).scatter_(1, label[:, None], 1).bool()

    def two(probability):
        return torch.stack([(probability * target).sum(1), (probability * ~target).sum(1)], 1)

    soft = [F.softmax(x / temperature, 1) for x in (student, teacher)]
    of_target = F.kl_div(two(soft[0]).log(), two(soft[1]), reduction="sum")
    pushed = [x / temperature - 1000.0 * target for x in (student, teacher)]
    of_others = F.kl_div(pushed[0].log_softmax(1), pushed[1].softmax(1), reduction="sum")
    return (alpha * of_target + beta * of_others) * temperature**2 / len(label)


def test_dkd_is_that_of_the_papers_code(seen, taught):
    own = settings(response="dkd", dkd_weights=[1.5, 7.0])
    found = response(seen.logits, taught.logits, LABEL, own)
    torch.testing.assert_close(found, official_dkd(seen.logits, taught.logits, LABEL, 1.5, 7.0, 3.0))


def test_dkd_of_clips_without_a_label_is_kd(seen, taught):
    half = LABEL.clone()
    half[::2] = UNLABELLED
    found = response(seen.logits, taught.logits, half, settings(response="dkd"))
    without = response(seen.logits[::2], taught.logits[::2], half[::2], settings(response="kd"))
    known = response(seen.logits[1::2], taught.logits[1::2], half[1::2], settings(response="dkd"))
    torch.testing.assert_close(found, (without + known) / 2)


def test_dist_is_one_minus_correlations(seen, taught):
    soft = [F.softmax(x / 3, 1).detach().double().numpy() for x in (seen.logits, taught.logits)]
    clips = np.mean([1 - np.corrcoef(soft[0][i], soft[1][i])[0, 1] for i in range(B)])
    classes = np.mean([1 - np.corrcoef(soft[0][:, k], soft[1][:, k])[0, 1] for k in range(K)])
    own = settings(response="dist", dist_weights=[2.0, 0.5])
    found = response(seen.logits, taught.logits, LABEL, own)
    assert found.item() == pytest.approx(9 * (2 * clips + 0.5 * classes), rel=1e-4)


def test_dist_of_one_clip_is_within_it_alone(seen, taught):
    given = seen.logits[:1], taught.logits[:1], LABEL[:1]
    without = settings(response="dist", dist_weights=[1, 0])
    torch.testing.assert_close(response(*given, settings(response="dist")), response(*given, without))


def test_standardised_logits_have_no_scale(seen, taught):
    student, teacher = (
        torch.from_numpy(zscore(x.detach().double().numpy(), axis=1)) for x in (seen.logits, taught.logits)
    )
    wanted = response(student, teacher, LABEL, DEFAULT)
    own = settings(logit_standardisation=True)
    found = response(7 * seen.logits + 3, 0.1 * taught.logits, LABEL, own)
    torch.testing.assert_close(found, wanted.float(), rtol=1e-4, atol=1e-5)


def test_labels_that_are_missing_are_no_part_of_the_task_term(seen, taught):
    half = LABEL.clone()
    half[3:] = UNLABELLED
    terms = loss_terms(seen, taught, half, DEFAULT)
    torch.testing.assert_close(terms["task_loss"], 0.1 * F.cross_entropy(seen.logits[:3], LABEL[:3]))
    whole = loss_terms(seen, taught, LABEL, DEFAULT)
    for name in ("feature_loss", "response_loss"):
        torch.testing.assert_close(terms[name], whole[name])
    none = torch.full_like(LABEL, UNLABELLED)
    assert "task_loss" not in loss_terms(seen, taught, none, DEFAULT)


@pytest.mark.parametrize("form", ["kd", "dkd", "dist"])
@pytest.mark.parametrize("feature", ["mse", "cosine"])
@pytest.mark.parametrize("standard", [False, True])
def test_every_term_has_a_gradient(seen, taught, form, feature, standard):
    own = settings(response=form, feature=feature, hint=0.3, logit_standardisation=standard)
    terms = loss_terms(seen, taught, LABEL, own)
    assert len(terms) == 4
    leaves = {"feature_loss": seen.features, "hint_loss": seen.frame_features}
    for name, term in terms.items():
        assert term.item() > 0
        (gradient,) = torch.autograd.grad(term, leaves.get(name, seen.logits), retain_graph=True)
        assert gradient.norm() > 0, name
        assert gradient.isfinite().all()


@pytest.mark.parametrize("form", ["kd", "dkd", "dist"])
def test_a_student_that_says_what_the_teacher_says_has_nothing_to_learn(taught, form):
    found = response(taught.logits, taught.logits, LABEL, settings(response=form))
    assert found.item() == pytest.approx(0, abs=1e-5)
