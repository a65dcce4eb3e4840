"""What frozen networks see of the demo: from a clean folder to the table of heads, on fewer videos.

Everything is trained and measured for real, by the demo's own configuration; only the videos are fewer and
have fewer frames, and of its networks there is one that sees single frames and one that sees clips.
"""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

from tests.workflow.conftest import copy_project
from vidkd.config.checkpoints import PER_FRAME

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo probes"), pytest.mark.timeout(2400)]

TABLE = "results/features/probes.csv"
FEWER = {
    "data": {"adapter": "demo", "n_shards": 1},
    "demo": {"train": 720, "val": 120, "test": 480, "frames": 16},
    "source": {"train": 1400, "val": 120, "frames": 16},
    "frames": {"per_video": 16, "short_side": 56, "encoding": "raw"},
}
NETWORKS = {"clip", "videomae"}
STAGES_OF_OTHERS = ("converters", "fusion", "student", "trimodel")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """What `snakemake --cores 2 results/features/probes.csv` makes in a clean copy with fewer videos."""
    project = copy_project(tmp_path_factory.mktemp("demo"))
    path = project.root / "config/config.yaml"
    configuration = yaml.safe_load(path.read_text()) | FEWER
    for section in ("checkpoints", "backbones"):
        configuration[section] = {name: configuration[section][name] for name in NETWORKS}
    for stage in STAGES_OF_OTHERS:
        del configuration[stage]
    path.write_text(yaml.safe_dump(configuration))
    done = project.snakemake(TABLE, "--cores", "2")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    found = pd.read_csv(project.root / TABLE)
    kinds = {name: used["kind"] for name, used in configuration["backbones"].items()}
    return found.assign(by_frame=found["backbone"].map(kinds).isin(PER_FRAME))


def test_every_head_is_there(table):
    assert set(table["backbone"]) == NETWORKS
    assert table.groupby("backbone").size().eq(2 * 2).all()
    assert set(table["label"]) == {"motion", "texture"}


def test_every_network_sees_texture(table):
    seen = table[table["label"] == "texture"]
    assert seen[seen["low"] <= seen["chance"]]["backbone"].tolist() == []


def test_a_video_network_sees_motion_and_its_direction(table):
    seen = table[(table["label"] == "motion") & ~table["by_frame"]]
    assert len(seen) == 2
    assert seen[seen["low"] <= seen["chance"]]["backbone"].tolist() == []
    assert seen[seen["pairs_low"] <= 50]["backbone"].tolist() == []


def test_frame_by_frame_motion_is_near_chance_and_its_direction_is_unseen(table):
    seen = table[(table["label"] == "motion") & table["by_frame"]]
    assert len(seen) == 2
    # Neither head is above chance by its interval; each may be somewhat off it.
    assert (seen["pairs_low"] < 50).all()
    assert (abs(seen["pairs"] - 50) < 8).all()
    # An order-blind head may still find which of the six pairs a motion belongs to.
    assert (seen["top1"] < 20).all()
