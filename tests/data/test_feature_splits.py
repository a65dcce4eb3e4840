"""The caches of one network by split."""

from __future__ import annotations

import pytest

from tests.methods.converters.cached import make_pair
from vidkd.errors import UserError
from vidkd.features.splits import open_splits


def test_a_video_is_in_one_split(tmp_path):
    shards = make_pair(tmp_path)["vjepa2"]
    assert list(open_splits(shards)) == ["train", "val", "test"]
    with pytest.raises(UserError, match=r"^24 videos are in val and in test, 'val_000' among them: .* own f"):
        open_splits(shards | {"test": shards["val"]})
    with pytest.raises(UserError, match=r"^\d+ videos are in train and in test, 'train_\d+' among them"):
        open_splits(shards | {"test": [*shards["test"], shards["train"][0]]})
