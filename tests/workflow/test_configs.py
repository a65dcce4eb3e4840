"""The configurations that come with the project."""

from __future__ import annotations

import pytest

from tests.workflow.conftest import ROOT, TINY
from vidkd.config.load import load_settings

EXPERIMENTS = sorted((ROOT / "config" / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiment_is_valid_and_has_its_own_folder(file):
    settings = load_settings(file)
    assert settings.results_dir == f"results/{file.stem}"
    assert settings.ffn.tfd.separate.keys() == {4, 8, 16}


def test_annotations_lie_beside_a_root_that_is_a_link(project):
    (project.root / "disk/videos").mkdir(parents=True)
    lists = project.root / "data/mine/lists"
    lists.mkdir(parents=True)
    (lists / "train.csv").touch()
    (lists.parent / "videos").symlink_to(project.root / "disk/videos")
    project.replace(TINY, "adapter: demo", "adapter: csv, root: data/mine/videos, annotations: ../lists")
    assert project.plan()["list_videos"] == 1


def test_demo_seeds_repeats_the_demo():
    demo = load_settings(ROOT / "config" / "config.yaml")
    seeds = load_settings(ROOT / "config" / "experiments" / "demo_seeds.yaml")
    for section in ("data", "demo", "frames", "compute"):
        assert getattr(seeds, section) == getattr(demo, section)
    assert seeds.ffn.base == demo.ffn.base
    assert {name: seeds.ffn.variants[name] for name in demo.ffn.variants} == demo.ffn.variants
    assert seeds.seeds == (0, 1, 2)
