"""The configurations that come with the project, and mistakes in one: Snakemake ends with one sentence."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT, TINY, Project, job_counts
from vidkd.config.load import load_settings

EXPERIMENTS = sorted((ROOT / "config" / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiment_is_valid_and_has_its_own_folder(file):
    settings = load_settings(file)
    assert settings.results_dir == f"results/{file.stem}"
    assert settings.ffn.tfd.separate.keys() == {4, 8, 16}


def test_a_cluster_is_planned_for_without_a_number_of_cores(project):
    shutil.copytree(ROOT / "profiles/slurm", project.root / "profiles/slurm", dirs_exist_ok=True)
    # A dry run would count one core by itself, a run does not.
    done = project.snakemake(
        "--rulegraph", "--profile", "profiles/slurm", "--configfile", "config/config.yaml"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "measure" in done.stdout


def test_annotations_lie_beside_a_root_that_is_a_link(ffn_alone):
    (ffn_alone.root / "disk/videos").mkdir(parents=True)
    lists = ffn_alone.root / "data/mine/lists"
    lists.mkdir(parents=True)
    (lists / "train.csv").touch()
    (lists.parent / "videos").symlink_to(ffn_alone.root / "disk/videos")
    ffn_alone.replace(TINY, "adapter: demo", "adapter: csv, root: data/mine/videos, annotations: ../lists")
    assert ffn_alone.plan()["list_videos"] == 1


@pytest.mark.parametrize("adapter", ["folder", "xd_violence"])
def test_folders_are_watched_whatever_their_names(ffn_alone, adapter):
    root = ffn_alone.root / "videos"
    names = ["train/run", "test/run", "train/br{ac}es", "train/qu'o\"te", "train/li\nne", b"train/caf\xe9"]
    for name in names:
        Path(os.fsdecode(os.fsencode(root) + b"/" + os.fsencode(name))).mkdir(parents=True)
    ffn_alone.replace(TINY, "adapter: demo", f"adapter: {adapter}, root: videos")
    shown = ffn_alone.dry_run("list_videos", "--configfile", TINY).stdout
    assert "videos/train/qu'o\"te, videos/train/run" in shown
    assert not [name for name in ("br{ac}es", "caf", "li\nne") if name in shown]


@pytest.mark.parametrize("new", ["run/deep/b.mp4", "walk/video_2/00.jpg", "fly/b.mp4"])
def test_a_new_video_in_a_class_folder_is_listed(ffn_alone, new):
    root = ffn_alone.root / "videos"
    for name in ("run/0.mp4", "run/1.mp4", "run/deep/0.mp4", "walk/video_0/00.jpg", "walk/video_1/00.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    ffn_alone.replace(TINY, "adapter: demo", "adapter: folder, root: videos")
    done = ffn_alone.snakemake("list_videos", "--cores", "1", "--configfile", TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "list_videos" not in ffn_alone.plan()
    (root / new).parent.mkdir(exist_ok=True)
    (root / new).touch()
    assert ffn_alone.plan()["list_videos"] == 1


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("videos/train/run", "`folder` expects train and test"),
        ("vi{d}eos/run", "data.root: rename vi{d}eos: braces mean a wildcard here"),
        ("other/run", "data.root: there is no folder videos"),
    ],
)
def test_a_root_that_cannot_be_used_is_named_at_once(ffn_alone, folder, says):
    (ffn_alone.root / folder).mkdir(parents=True)
    root = "vi{d}eos" if "{" in folder else "videos"
    ffn_alone.replace(TINY, "adapter: demo", f'adapter: folder, root: "{root}"')
    done = ffn_alone.dry_run("--configfile", TINY)
    assert done.returncode != 0
    assert says in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.pth.tar"])
def test_a_file_to_start_from_is_an_input(project, name):
    project.replace(TINY, "    epochs: 1", f"    epochs: 1\n    weights: {name}")
    target = "results/tiny/ffn/st4/seed0/model.safetensors"
    missing = project.dry_run(target, "--configfile", TINY)
    assert f"Error: ffn.base.weights: there is no file {name}." in missing.stderr
    (project.root / name).touch()
    shown = project.dry_run(target, "--configfile", TINY).stdout
    assert re.search(rf"^rule train:\n    input: .*\b{re.escape(name)}\b", shown, re.MULTILINE)


def test_demo_seeds_repeats_the_demo():
    demo = load_settings(ROOT / "config" / "config.yaml")
    seeds = load_settings(ROOT / "config" / "experiments" / "demo_seeds.yaml")
    for section in ("demo", "frames", "compute", "checkpoints", "source", "backbones"):
        assert getattr(seeds, section) == getattr(demo, section)
    assert seeds.data == demo.data.model_copy(update={"n_shards": seeds.data.n_shards})
    assert seeds.student.base == demo.student.base
    assert seeds.trimodel.base == demo.trimodel.base
    assert demo.trimodel.variants.items() <= seeds.trimodel.variants.items()
    assert seeds.ffn.base == demo.ffn.base
    assert {name: seeds.ffn.variants[name] for name in demo.ffn.variants} == demo.ffn.variants
    assert seeds.seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config", "ffn={base: {lr: -1}}"], "ffn.base.lr"),
        (["--config", "ffn={base: {lrr: 1}}"], "lr"),
    ],
)
def test_sentence_without_traceback(ffn_alone, arguments, sentence):
    done = ffn_alone.dry_run("--configfile", TINY, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_failed_job_says_why_on_the_screen(project):
    """One training video cannot cover the classes of the other splits, so the listing fails."""
    project.replace(TINY, "train: 48, val: 24, test: 24", "train: 1, val: 24, test: 24")
    done = project.snakemake("results/tiny/data/classes.json", "--cores", "1", "--configfile", TINY)
    assert done.returncode == 1
    assert "Error: " in done.stderr
    assert "is not one of the" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_experiment_does_not_inherit_from_the_demo(project):
    """Snakemake merges configuration files; the demo's flip labels would be wrong for real data."""
    project.replace(
        "Snakefile", "##### stages #####", "print('FLIP', cfg.ffn.base.flip_labels, cfg.results_dir)"
    )
    alone = project.dry_run("--quiet", "all", "--configfile", TINY)
    demo = project.dry_run("--quiet", "all")
    assert "FLIP {} results/tiny" in alone.stdout
    assert "move_left" in demo.stdout


def test_a_key_that_is_given_twice_is_refused(ffn_alone):
    """Snakemake takes the last one: `seeds` twice plans one seed."""
    path = ffn_alone.root / TINY
    path.write_text(path.read_text() + "\nseeds: [0, 1]\nseeds: [0]\n")
    done = ffn_alone.dry_run("--configfile", TINY)
    assert done.returncode != 0
    assert re.search(r"tiny\.yaml, line \d+: not valid YAML: the key seeds is given twice", done.stderr)
    assert "Traceback" not in done.stderr


def test_it_may_be_a_module_of_another_workflow(ffn_alone, tmp_path_factory):
    """As snakedeploy lays it out: a Snakefile and a configuration of one's own, elsewhere."""
    mine = Project(tmp_path_factory.mktemp("mine"))
    (mine.root / "Snakefile").write_text(
        f"""
configfile: "mine.yaml"

module vidkd:
    snakefile: "{ffn_alone.root}/Snakefile"
    config: config

use rule * from vidkd
"""
    )
    (mine.root / "mine.yaml").write_text((ffn_alone.root / TINY).read_text())
    done = mine.dry_run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert job_counts(done) == ffn_alone.plan()
