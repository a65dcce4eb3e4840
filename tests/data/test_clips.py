from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.conftest import CLASSES
from vidkd.data.augment import View, apply_view, centre_view, random_view
from vidkd.data.clips import EpochBatches, EvaluationClips, TrainingClips
from vidkd.data.frames import FrameStore
from vidkd.data.sampling import random_in_segments, segment_centres
from vidkd.errors import UserError


class CountingStore(FrameStore):
    """A real store that counts how often frames are read from it."""

    reads = 0

    def clip(self, i, positions):
        self.reads += 1
        return super().clip(i, positions)


def training(stores, settings, seed=0):
    return TrainingClips(CountingStore(stores.train), CLASSES, settings.frame_counts, settings, seed)


def test_segment_centres_are_the_middles():
    assert segment_centres(32, 4).tolist() == [4, 12, 20, 28]
    assert segment_centres(16, 16).tolist() == list(range(16))
    assert segment_centres(2, 4).tolist() == [0, 0, 1, 1]


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


def test_a_video_is_read_once_and_its_frames_share_one_view(stores, small):
    settings = small.model_copy(update={"frame_counts": (8, 16), "crop_scales": (0.7,)})
    clips = training(stores, settings)
    sample, _, _ = clips[(0, 3)]
    assert clips.store.reads == 1
    # With 16 stored frames, the 16-frame clip is all of them: each of the 8 must be the very same picture.
    same = [[torch.equal(a, b) for b in sample[16]].count(True) for a in sample[8]]
    assert same == [1] * 8


def test_counts_are_sampled_independently(stores, small):
    clips = training(stores, small.model_copy(update={"frame_counts": (4, 8), "crop_scales": (1.0,)}))
    inside = []
    for row in range(12):
        sample, _, _ = clips[(0, row)]
        inside += [any(torch.equal(a, b) for b in sample[8]) for a in sample[4]]
    assert 0 < sum(inside) < len(inside)


def test_a_sample_depends_on_seed_epoch_and_video_only(stores, small):
    def pixels(clips, key):
        return clips[key][0][8]

    clips = training(stores, small)
    assert torch.equal(pixels(clips, (1, 5)), pixels(training(stores, small), (1, 5)))
    assert not torch.equal(pixels(clips, (1, 5)), pixels(clips, (2, 5)))
    assert not torch.equal(pixels(clips, (1, 5)), pixels(training(stores, small, seed=1), (1, 5)))
    # The same video in a store of other shards is another row, and the same sample.
    alone = TrainingClips(FrameStore(stores.train[1:]), CLASSES, small.frame_counts, small, seed=0)
    row = clips.store.video_ids.index(alone.store.video_ids[2])
    assert torch.equal(pixels(clips, (1, row)), pixels(alone, (1, 2)))


def test_a_flip_mirrors_the_clip_and_swaps_the_label(stores, small):
    pairs = {"move_left": "move_right", "orbit_cw": "orbit_ccw", "left_then_right": "right_then_left"}
    both = pairs | {right: left for left, right in pairs.items()}
    changes = {"crop_scales": (1.0,), "size": 48, "frame_counts": (16,)}
    still = training(stores, small.model_copy(update=changes))
    mirrored = training(stores, small.model_copy(update={**changes, "flip": "swap", "flip_labels": pairs}))
    flipped = 0
    for row in range(24):
        (plain, label, _), (other, new, _) = still[(0, row)], mirrored[(0, row)]
        if torch.equal(plain[16], other[16]):
            assert label == new
        else:
            flipped += 1
            assert torch.equal(plain[16].flip(-1), other[16])
            assert CLASSES[new] == both.get(CLASSES[label], CLASSES[label])
    assert 4 < flipped < 20


def test_evaluation_takes_centres_of_segments_and_of_the_frame(stores, small):
    store = FrameStore(stores.val)
    clips, label, row = EvaluationClips(store, (4,), small.model_copy(update={"eval_crop": 2 / 3}))[2]
    expected = store.clip(2, [2, 6, 10, 14])[:, 8:40, 8:40].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(clips[4].numpy(), expected)
    assert (label, row) == (store.label_ids[2], 2)


def test_an_epoch_has_every_clip_once_and_goes_on_where_it_stopped():
    whole = list(EpochBatches(21, 4, seed=0, epoch=3))
    assert len(whole) == 5
    assert len({row for batch in whole for _, row in batch}) == 20
    assert list(EpochBatches(21, 4, seed=0, epoch=3, start=2)) == whole[2:]
    assert list(EpochBatches(21, 4, seed=0, epoch=4)) != whole


def test_views_lie_inside_and_resize_as_torch_does():
    rng = np.random.default_rng(0)
    for _ in range(100):
        view = random_view(40, 60, (1.0, 0.66), flip=True, rng=rng)
        assert view.top + view.side <= 40
        assert view.left + view.side <= 60
    frames = rng.integers(0, 256, (2, 40, 60, 3), dtype=np.uint8)
    out = apply_view(frames, View(3, 5, 30, flip=False), 20)
    crop = torch.from_numpy(frames[:, 3:33, 5:35]).permute(0, 3, 1, 2)
    expected = F.interpolate(crop.float(), (20, 20), mode="bilinear", antialias=True)
    assert (out.float() - expected).abs().max() <= 1
    assert centre_view(40, 60, 0.5) == View(10, 20, 20, flip=False)


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_loader_keeps_the_order(stores, small, workers):
    from vidkd.data.clips import evaluation_loader

    loader = evaluation_loader(FrameStore(stores.val), (4, 8), small, 5, workers)
    assert torch.cat([batch.row for batch in loader]).tolist() == list(range(12))


def test_evaluation_shows_the_share_that_training_shows_whatever_the_size(stores, small):
    """A clip of fewer pixels is the same view made smaller, not a smaller view."""
    store = FrameStore(stores.val)
    whole, half = (
        EvaluationClips(store, (4,), small.model_copy(update={"size": size, "eval_crop": 2 / 3}))[0][0][4]
        for size in (32, 16)
    )
    smaller = F.interpolate(whole.float(), (16, 16), mode="bilinear", antialias=True)
    assert (half.float() - smaller).abs().max() <= 1


def test_a_store_named_twice_is_refused(stores):
    with pytest.raises(UserError, match="a video is in two frame stores"):
        FrameStore([*stores.train, stores.train[0]])
