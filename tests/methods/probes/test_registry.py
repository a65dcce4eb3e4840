from __future__ import annotations

import inspect
from typing import get_args

import pytest

from vidkd.methods.probes.linear import fit
from vidkd.methods.probes.registry import HEADS, find_fit
from vidkd.methods.probes.settings import Head, HeadSettings


def test_heads_are_those_that_settings_allow():
    assert set(HEADS) == set(get_args(Head)) == set(HeadSettings.model_fields)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_fitted_as_the_others_are(head):
    assert inspect.signature(find_fit(head)) == inspect.signature(fit)
    assert getattr(HeadSettings(), head).cpu_threads == 1
