"""Which frames make a clip; the draws are compared with a plain re-implementation of each rule."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidkd.config.clips import ClipSettings
from vidkd.data.sampling import (
    evaluation_positions,
    random_in_segments,
    segment_centres,
    sorted_random,
    training_positions,
)


def test_segment_centres_are_the_middles():
    assert segment_centres(32, 4).tolist() == [4, 12, 20, 28]
    assert segment_centres(16, 16).tolist() == list(range(16))
    assert segment_centres(2, 4).tolist() == [0, 0, 1, 1]
    for total, count in [(37, 8), (8, 8), (3, 8), (1, 4), (100, 1), (30000, 32)]:
        segments = np.linspace(0, total, count + 1)
        middles = [int((low + high) / 2 + 1e-9) for low, high in pairwise(segments)]
        assert segment_centres(total, count).tolist() == middles


@given(st.integers(1, 10**6), st.integers(1, 64))
def test_centres_ascend_stay_inside_and_repeat_only_when_they_must(total, count):
    chosen = segment_centres(total, count).tolist()
    assert chosen == sorted(chosen)
    assert 0 <= chosen[0] <= chosen[-1] < total
    assert len(set(chosen)) == min(total, count)


@given(total=st.integers(1, 200), count=st.integers(1, 64), seed=st.integers(0, 9))
def test_every_random_frame_lies_in_its_segment(total, count, seed):
    chosen = random_in_segments(total, count, np.random.default_rng(seed))
    assert len(chosen) == count
    assert (np.diff(chosen) >= 0).all()
    for k, frame in enumerate(chosen):
        start = k * total // count
        assert start <= frame < max((k + 1) * total // count, start + 1)
        assert 0 <= frame < total


def test_training_draws_more_than_centres():
    rng = np.random.default_rng(0)
    drawn = np.array([random_in_segments(32, 4, rng) for _ in range(200)])
    assert [len(np.unique(column)) for column in drawn.T] == [8, 8, 8, 8]


def test_the_default_draws_are_those_of_always():
    """Written out by hand: other values would change every result that was published with these settings."""
    rng = np.random.default_rng([0, 3, 12345])
    drawn = [training_positions(32, count, ClipSettings(), rng).tolist() for count in (4, 8, 16)]
    again = np.random.default_rng([0, 3, 12345])
    expected = []
    for count in (4, 8, 16):
        size = 32 // count
        expected.append(again.integers(size * np.arange(count), size * np.arange(1, count + 1)).tolist())
    assert drawn == expected
    assert drawn == [
        [2, 9, 23, 30],
        [0, 5, 8, 12, 19, 20, 24, 28],
        [1, 3, 5, 6, 8, 10, 13, 15, 17, 19, 20, 23, 25, 26, 29, 31],
    ]
    assert rng.bit_generator.state == again.bit_generator.state


@given(total=st.integers(1, 60), count=st.integers(1, 90), seed=st.integers(0, 9))
def test_sorted_random_frames_repeat_only_when_there_are_too_few(total, count, seed):
    chosen = sorted_random(total, count, np.random.default_rng(seed)).tolist()
    assert chosen == sorted(chosen)
    assert len(chosen) == count
    assert set(chosen) <= set(range(total))
    times = [chosen.count(frame) for frame in range(total)]
    assert max(times) - min(times) <= 1


def test_sorted_random_is_the_seeds_sample():
    """`sorted(random.sample(range(n), T))`: every set of frames as often as any other."""
    rng, draws = np.random.default_rng(0), 12_000
    ours = [tuple(sorted_random(5, 3, rng).tolist()) for _ in range(draws)]
    random.seed(0)
    theirs = [tuple(sorted(random.sample(range(5), 3))) for _ in range(draws)]
    assert set(ours) == set(theirs)
    for chosen in set(ours):
        assert ours.count(chosen) / draws == pytest.approx(0.1, abs=0.012)
        assert theirs.count(chosen) / draws == pytest.approx(0.1, abs=0.012)


@pytest.mark.parametrize(("total", "count", "stride"), [(32, 8, 2), (32, 16, 2), (10, 1, 7), (9, 3, 4)])
def test_dense_frames_are_a_stride_apart(total, count, stride):
    settings = ClipSettings(frame_sampling="dense", eval_frame_sampling="dense", frame_stride=stride)
    rng = np.random.default_rng(0)
    last_start = total - 1 - (count - 1) * stride
    starts = set()
    for _ in range(400):
        chosen = training_positions(total, count, settings, rng).tolist()
        assert chosen == list(range(chosen[0], chosen[0] + count * stride, stride))
        starts.add(chosen[0])
    assert starts == set(range(last_start + 1))
    middle = evaluation_positions(total, count, settings).tolist()
    assert middle == list(range(last_start // 2, last_start // 2 + count * stride, stride))


def test_a_dense_clip_that_does_not_fit_is_refused():
    settings = ClipSettings(frame_sampling="dense", eval_frame_sampling="dense", frame_stride=3)
    with pytest.raises(ValueError, match="8 frames with a stride of 3 do not fit into 21"):
        training_positions(21, 8, settings, np.random.default_rng(0))
    with pytest.raises(ValueError, match="do not fit"):
        evaluation_positions(21, 8, settings)
    assert evaluation_positions(22, 8, settings).tolist() == list(range(0, 22, 3))


def test_centres_in_training_draw_nothing():
    settings = ClipSettings(frame_sampling="centres")
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert training_positions(32, 4, settings, rng).tolist() == [4, 12, 20, 28]
    assert rng.bit_generator.state == before
    assert evaluation_positions(32, 4, settings).tolist() == [4, 12, 20, 28]
