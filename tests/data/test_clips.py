from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.conftest import CLASSES
from vidkd.config.clips import ClipSettings
from vidkd.data.clips import EpochBatches, EvaluationClips, TrainingClips, check_clips, evaluation_loader
from vidkd.data.frames import FrameStore
from vidkd.errors import UserError


class CountingStore(FrameStore):
    """A real store that counts how often frames are read from it."""

    reads = 0

    def clip(self, i, positions):
        self.reads += 1
        return super().clip(i, positions)


def training(stores, settings, seed=0):
    return TrainingClips(CountingStore(stores.train), CLASSES, settings.frame_counts, settings, seed)


def test_a_video_is_read_once_and_its_frames_share_one_view(stores, small):
    settings = small.model_copy(update={"frame_counts": (8, 16), "crop_scales": (0.7,)})
    clips = training(stores, settings)
    sample = clips[(0, 3)]
    assert clips.store.reads == 1
    # With 16 stored frames, the 16-frame clip is all of them: each of the 8 must be the very same picture.
    same = [[torch.equal(a, b) for b in sample.clip(16)].count(True) for a in sample.clip(8)]
    assert same == [1] * 8


def test_default_settings_draw_what_they_always_drew(stores):
    """The whole sample once more in plain numpy: a change here changes every published result."""
    settings = ClipSettings(size=24, flip="plain")
    store, counts = FrameStore(stores.train), (4, 8)
    clips = TrainingClips(store, CLASSES, counts, settings, seed=3)
    for row in range(6):
        rng = np.random.default_rng([3, 2, zlib.crc32(store.video_ids[row].encode())])
        positions = {c: rng.integers(16 // c * np.arange(c), 16 // c * np.arange(1, c + 1)) for c in counts}
        side = round(48 * (1.0, 0.875, 0.75, 0.66)[rng.integers(4)])
        top, left = rng.integers(48 - side + 1), rng.integers(48 - side + 1)
        crop = store.clip(row, range(16))[:, top : top + side, left : left + side]
        if rng.random() < 0.5:
            crop = crop[:, :, ::-1]
        pixels = torch.from_numpy(crop.copy()).permute(0, 3, 1, 2)
        expected = F.interpolate(pixels, (24, 24), mode="bilinear", antialias=True)
        for count in counts:
            assert torch.equal(clips[(2, row)].clip(count), expected[positions[count]])


def test_counts_are_sampled_independently(stores, small):
    clips = training(stores, small.model_copy(update={"frame_counts": (4, 8), "crop_scales": (1.0,)}))
    inside = []
    for row in range(12):
        sample = clips[(0, row)]
        inside += [any(torch.equal(a, b) for b in sample.clip(8)) for a in sample.clip(4)]
    assert 0 < sum(inside) < len(inside)


def test_a_sample_depends_on_seed_epoch_and_video_only(stores, small):
    def pixels(clips, key):
        return clips[key].clip(8)

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
        plain, other = still[(0, row)], mirrored[(0, row)]
        label, new = plain.label, other.label
        if torch.equal(plain.clip(16), other.clip(16)):
            assert label == new
        else:
            flipped += 1
            assert torch.equal(plain.clip(16).flip(-1), other.clip(16))
            assert CLASSES[new] == both.get(CLASSES[label], CLASSES[label])
    assert 4 < flipped < 20


def test_evaluation_takes_centres_of_segments_and_of_the_frame(stores, small):
    store = FrameStore(stores.val)
    sample = EvaluationClips(store, (4,), small.model_copy(update={"eval_crop": 2 / 3}))[2]
    expected = store.clip(2, [2, 6, 10, 14])[:, 8:40, 8:40].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(sample.clip(4).numpy(), expected)
    assert (sample.label, sample.row) == (store.label_ids[2], 2)


def test_an_epoch_has_every_clip_once_and_goes_on_where_it_stopped():
    whole = list(EpochBatches(21, 4, seed=0, epoch=3))
    assert len(whole) == 5
    assert len({row for batch in whole for _, row in batch}) == 20
    assert list(EpochBatches(21, 4, seed=0, epoch=3, start=2)) == whole[2:]
    assert list(EpochBatches(21, 4, seed=0, epoch=4)) != whole


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_loader_keeps_the_order(stores, small, workers):
    loader = evaluation_loader(FrameStore(stores.val), (4, 8), small, 5, workers)
    assert torch.cat([batch.row for batch in loader]).tolist() == list(range(12))


def test_evaluation_shows_the_share_that_training_shows_whatever_the_size(stores, small):
    """A clip of fewer pixels is the same view made smaller, not a smaller view."""
    store = FrameStore(stores.val)
    whole, half = (
        EvaluationClips(store, (4,), small.model_copy(update={"size": size, "eval_crop": 2 / 3}))[0].clip(4)
        for size in (32, 16)
    )
    smaller = F.interpolate(whole.float(), (16, 16), mode="bilinear", antialias=True)
    assert (half.float() - smaller).abs().max() <= 1


def test_dense_clips_that_do_not_fit_are_refused(stores):
    store, dense = FrameStore(stores.val), ClipSettings(frame_sampling="dense", frame_stride=3)
    check_clips(store, 6, dense, "dense")
    check_clips(store, 16, dense, "centres")
    with pytest.raises(UserError, match=r"8 frames are asked .* stored with 16; dense ones span 22: raise"):
        check_clips(store, 8, dense, "dense")


def test_a_store_named_twice_is_refused(stores):
    with pytest.raises(UserError, match="a video is in two frame stores"):
        FrameStore([*stores.train, stores.train[0]])
