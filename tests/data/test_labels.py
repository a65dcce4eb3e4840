"""Another label of the same videos."""

from __future__ import annotations

import json

import pytest

from tests.conftest import CLASSES
from vidkd.config.data import DataSettings
from vidkd.data.adapters.registry import write_listing
from vidkd.data.labels import write_labels
from vidkd.data.tables import read_rows
from vidkd.errors import UserError

ROWS = {
    "train": ["a,move_up,disc", "b,move_up,ring", "c,move_down,ring", "e,move_down,disc"],
    "val": ["f,move_up,ring"],
    "test": ["d,move_down,disc"],
}


@pytest.fixture
def annotations(tmp_path):
    for split, lines in ROWS.items():
        text = "\n".join(f"{split}/{line}" for line in lines)
        (tmp_path / f"{split}.csv").write_text(f"path,motion,shape\n{text}\n")
    return tmp_path


def labels(folder, name):
    settings = DataSettings(adapter="demo", label=name)
    write_labels(settings, folder, folder, folder / "labels.csv", folder / "labels.json")
    return read_rows(folder / "labels.csv"), json.loads((folder / "labels.json").read_text())


def test_every_video_has_the_label_of_that_name(annotations):
    rows, classes = labels(annotations, "shape")
    assert classes == ["disc", "ring"]
    found = {row["video_id"]: classes[int(row["label_id"])] for row in rows}
    wanted = {
        f"{split}/{line.split(',')[0]}": line.split(",")[2] for split, lines in ROWS.items() for line in lines
    }
    assert found == wanted


def test_ids_are_those_of_the_listing(annotations):
    rows, classes = labels(annotations, "motion")
    settings = DataSettings(adapter="demo", n_shards=1)
    write_listing(settings, annotations, annotations, annotations, annotations / "classes.json")
    listed = read_rows(annotations / "shard_0.csv")
    assert [(row["video_id"], row["label"]) for row in listed] == [
        (row["video_id"], classes[int(row["label_id"])]) for row in rows
    ]
    assert set(classes) <= set(CLASSES)


def test_a_label_that_there_is_not_is_refused(annotations):
    with pytest.raises(UserError, match=r"has no column 'weight': check data\.label and probes\.labels"):
        labels(annotations, "weight")


def test_other_adapters_have_one_label(annotations):
    with pytest.raises(UserError, match=r"the videos of data\.adapter csv have one label each"):
        write_labels(
            DataSettings(adapter="csv"), annotations, annotations, annotations / "x", annotations / "y"
        )
