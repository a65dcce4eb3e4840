from __future__ import annotations

import pytest

from vidkd.config.load import load_settings
from vidkd.errors import UserError
from vidkd.methods.base import Plan
from vidkd.methods.probes.plan import Probes
from vidkd.methods.probes.settings import ProbeRun


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"probes": {"heads": ["mlp"]}}, 'probes.heads.0: found "mlp"; allowed: one of linear, attentive'),
        (
            {"probes": {"heads": ["linear", "linear"]}},
            "probes.heads: found ['linear', 'linear']; allowed: each once",
        ),
        ({"probes": {"labels": ["a/b"]}}, "probes.labels.a/b: wrong name; allowed: lower-case letters"),
        (
            {"probes": {"linear": {"l2": [1, 0.1]}}},
            "probes.linear.l2: found [1.0, 0.1]; allowed: ascending numbers",
        ),
        (
            {"probes": {"linear": {"l2": [0]}}},
            "probes.linear.l2: found [0.0]; allowed: ascending numbers above 0",
        ),
        (
            {"probes": {"evaluate": {"pairs": {"a": "b", "b": "c"}}}},
            "probes.evaluate.pairs: b stands in it more than once",
        ),
        (
            {"data": {"adapter": "csv"}, "probes": {"labels": ["shape"]}},
            "probes.labels: the videos of data.adapter csv have one label each: leave it empty",
        ),
    ],
)
def test_wrong_settings_are_named(config, sentence):
    with pytest.raises(UserError) as refused:
        load_settings(config)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        ({}, ("motion",)),
        ({"data": {"label": "shape"}}, ("shape",)),
        ({"data": {"adapter": "csv"}}, ("class",)),
        ({"probes": {"labels": ["colour", "motion"]}}, ("colour", "motion")),
    ],
)
def test_labels_are_the_own_one_unless_named(config, labels):
    assert Probes(Plan(load_settings(config))).probe_labels == labels


def test_a_run_has_the_settings_of_its_head_alone():
    run = ProbeRun(head="linear", linear={"l2": [0.5]})
    assert run.model_dump(mode="json") == {
        "head": "linear", "linear": {"l2": [0.5], "max_iter": 2000, "cpu_threads": 1}
    }  # fmt: skip
    assert ProbeRun.model_validate(run.model_dump(mode="json")) == run
