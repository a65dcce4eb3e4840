from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidkd.config.clips import ClipSettings
from vidkd.data.clips import EvaluationClips, clip_loader
from vidkd.data.frames import FrameStore
from vidkd.data.sampling import segment_centres
from vidkd.data.views import ViewedClips, crops_along, view_positions
from vidkd.errors import UserError


def places(crops):
    return [(crop.top, crop.left, crop.height, crop.width) for crop in crops]


class TestPositions:
    def test_one_view_is_the_segment_centres(self):
        for total in range(1, 40):
            for frames in range(1, 20):
                (found,) = view_positions(total, frames, 1)
                assert found.tolist() == segment_centres(total, frames).tolist()

    @given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 60))
    def test_views_share_no_frame_and_each_has_one_of_every_segment(self, frames, views, more):
        total = frames * views + more
        found = view_positions(total, frames, views)
        assert found.shape == (views, frames)
        assert len(np.unique(found)) == frames * views
        edges = np.arange(frames + 1) * total / frames
        for positions in found:
            assert np.all(np.floor(edges[:-1]) <= positions)
            assert np.all(positions < np.ceil(edges[1:]))

    def test_by_hand(self):
        assert view_positions(32, 4, 2).tolist() == [[2, 10, 18, 26], [6, 14, 22, 30]]


class TestCrops:
    def test_three_are_from_end_to_end(self):
        assert places(crops_along(40, 100, 1, 3)) == [(0, 0, 40, 40), (0, 30, 40, 40), (0, 60, 40, 40)]
        assert places(crops_along(100, 40, 1, 3)) == [(0, 0, 40, 40), (30, 0, 40, 40), (60, 0, 40, 40)]
        assert places(crops_along(40, 100, 0.5, 3)) == [(10, 0, 20, 20), (10, 40, 20, 20), (10, 80, 20, 20)]

    def test_of_a_square_frame_they_are_along_the_width(self):
        assert places(crops_along(40, 40, 0.5, 3)) == [(10, 0, 20, 20), (10, 10, 20, 20), (10, 20, 20, 20)]

    @pytest.mark.parametrize("height", range(20, 61, 3))
    @pytest.mark.parametrize("scale", [0.3, 0.875, 1.0])
    def test_the_middle_one_is_the_only_one(self, height, scale):
        assert places(crops_along(height, 37, scale, 3))[1:2] == places(crops_along(height, 37, scale, 1))


class TestClips:
    def test_one_view_is_an_evaluation_clip(self, stores):
        store = FrameStore(stores.val)
        wanted = EvaluationClips(store, [4], ClipSettings(size=20, eval_crop=0.875))
        for found, known in zip(
            clip_loader(ViewedClips(store, 4, 20, 0.875), 0, batch_size=5),
            clip_loader(wanted, 0, batch_size=5),
            strict=True,
        ):
            assert torch.equal(found.clips[4], known.clips[4])
            assert found.clips[4].stride() == known.clips[4].stride()
            assert found.label.tolist() == known.label.tolist()
            assert found.row.tolist() == known.row.tolist()

    def test_views_are_slower_than_crops(self, stores):
        store = FrameStore(stores.val)
        (batch,) = clip_loader(ViewedClips(store, 2, 24, 0.5, views=3, crops=3), 0, batch_size=12)
        found = batch.clips[3 * 3 * 2].unflatten(1, (3, 3, 2))
        frames = store.clip(7, range(16))
        for view, positions in enumerate([[1, 9], [4, 12], [6, 14]]):
            for crop, left in enumerate([0, 12, 24]):
                wanted = frames[positions, 12:36, left : left + 24].transpose(0, 3, 1, 2)
                np.testing.assert_array_equal(found[7, view, crop], wanted)

    @pytest.mark.parametrize(
        ("frames", "views", "words"),
        [(17, 1, "17 frames are asked of"), (8, 3, "3 views of 8 frames are asked of")],
    )
    def test_too_few_stored_frames(self, frames, views, words, stores):
        with pytest.raises(
            UserError, match=f"^{words} videos stored with 16: raise frames.per_video, or ask"
        ):
            ViewedClips(FrameStore(stores.val), frames, 24, 1, views)
