"""Real runs that cannot succeed: each ends with a sentence that says what, where and what to do.

Nothing half-written is left, and no traceback of ours reaches the screen.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest
from safetensors.torch import load_file, save_file

from tests.mounts import small_disk
from tests.workflow.conftest import Project, copy_project
from vidkd.methods.ffn.model import build_model
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.paths import Paths

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bad_input")]

CONFIG = "config/small.yaml"
PATHS = Paths("results")
STORE = PATHS.frames.format(split="train", shard=0)
WEIGHTS = PATHS.run("ffn", "st4", 0).weights
PREDICTIONS = PATHS.run("ffn", "st4", 0).predictions
SMALL = """\
results_dir: results
data: {adapter: demo, n_shards: 1}
demo: {train: 12, val: 2, test: 2, frames: 16}
frames: {per_video: 16, short_side: 56, encoding: raw}
ffn:
  base:
    arch: resnet_tiny
    epochs: 1
    batch_size: 4
    optimizer: adamw
    size: 32
    crop_scales: [0.857]
    frame_counts: [4]
    weight_alteration: false
  variants: {st4: {}}
  predict: {max_count: 4, score_counts: [4]}
  tfd: {report_counts: [4], separate: {4: st4}}
compute: {gpus: 0, mem_mb: 2000, runtime: 10}
"""


@dataclass(frozen=True)
class Small(Project):
    """A project with the small configuration."""

    def make(self, *targets: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake up to `targets`."""
        return self.snakemake(*targets, "--cores", "1", "--configfile", CONFIG)

    def refuses(self, *targets: str, says: tuple[str, ...], results: str = "results") -> str:
        """Run up to `targets`, which must fail with all of `says` on the screen and nothing half done."""
        done = self.make(*targets)
        check_refusal(done, says)
        assert [target for target in targets if (self.root / target).exists()] == []
        check_whole(self.root / results)
        return done.stdout + done.stderr


def check_refusal(done: subprocess.CompletedProcess[str], says: tuple[str, ...]) -> None:
    screen = done.stdout + done.stderr
    assert done.returncode not in (0, -11), screen
    assert "Traceback" not in screen, screen
    for words in says:
        assert words in screen, screen


def check_whole(results: Path) -> None:
    """No temporary file, and every artefact is complete."""
    found = [path for path in results.rglob("*") if path.is_file()] if results.is_dir() else []
    assert [path for path in found if path.suffix == ".tmp"] == []
    for path in found:
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".safetensors":
            load_file(path)
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                assert len(file["label_id"]) == len(file["offset"])
        elif path.suffix == ".csv":
            with path.open() as stream:
                assert len({len(row) for row in csv.reader(stream)}) <= 1, path


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Small:
    """Everything up to one trained network."""
    project = Small(copy_project(tmp_path_factory.mktemp("small")).root)
    (project.root / CONFIG).write_text(SMALL)
    done = project.make(WEIGHTS, PATHS.frames.format(split="test", shard=0))
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def copy(project: Small, to: Path, *, results: bool) -> Small:
    left_out = shutil.ignore_patterns() if results else shutil.ignore_patterns("results", ".snakemake")
    shutil.copytree(project.root, to, symlinks=True, ignore=left_out)
    return Small(to)


@pytest.fixture
def prepared(trained, tmp_path) -> Small:
    """A copy with results to break."""
    return copy(trained, tmp_path / "project", results=True)


@pytest.fixture
def fresh(trained, tmp_path) -> Small:
    """A copy without results."""
    return copy(trained, tmp_path / "project", results=False)


def use_split_files(project: Small, lists: dict[str, list[tuple[str, str]]]) -> None:
    """Make the demo's videos a data set of the csv adapter with these split files."""
    data = "{adapter: csv, root: results/demo, annotations: lists, n_shards: 1, max_excluded: 1}"
    project.replace(CONFIG, "data: {adapter: demo, n_shards: 1}", f"data: {data}")
    project.replace(CONFIG, "results_dir: results", "results_dir: results/csv")
    folder = project.root / "results/demo/lists"
    folder.mkdir()
    for split, rows in lists.items():
        (folder / f"{split}.csv").write_text("".join(f"{path},{label}\n" for path, label in rows))


def demo_rows(project: Small, split: str) -> list[tuple[str, str]]:
    with (project.root / PATHS.demo_annotations.format(split=split)).open() as stream:
        return [(row["path"], row["motion"]) for row in csv.DictReader(stream)]


def test_a_missing_data_folder(fresh):
    fresh.replace(CONFIG, "data: {adapter: demo", "data: {adapter: csv, root: /nowhere/videos")
    fresh.refuses(says=("Error: data.root: there is no folder /nowhere/videos", "Put the data set there"))
    assert not (fresh.root / "results").exists()


def test_a_weights_file_that_is_not_there(fresh):
    project = fresh
    project.replace(CONFIG, "    epochs: 1", "    epochs: 1\n    weights: nowhere/r.pth")
    project.refuses(says=("Error: ffn.base.weights: there is no file nowhere/r.pth. Put it there",))


def test_a_split_without_a_readable_video(prepared):
    lists = {split: demo_rows(prepared, split) for split in ("train", "test")}
    (prepared.root / "results/demo/page.mp4").write_text("<html>not found</html>")
    use_split_files(prepared, lists | {"val": [("page.mp4", lists["train"][0][1])]})
    manifest = "results/csv/data/manifest.csv"
    prepared.refuses(manifest, says=("Error: the val split has no usable video: check data.annotations",))


def test_a_split_file_without_a_line(prepared):
    use_split_files(prepared, {"train": demo_rows(prepared, "train"), "test": []})
    says = ("Error: no test videos are listed under", "check data.root and data.annotations")
    prepared.refuses("results/csv/data/classes.json", says=says)


def test_videos_that_are_listed_and_not_there(prepared):
    lists = {split: demo_rows(prepared, split) for split in ("train", "val", "test")}
    lists["train"] += [(f"gone{n}.mp4", lists["train"][0][1]) for n in range(2)]
    use_split_files(prepared, lists)
    says = (
        "Error: 2 of 18 videos are missing, above data.max_missing = 0.01:\n"
        "  gone0.mp4: missing: there is no such file\n",
        "Put them under data.root, or raise data.max_missing",
        "looked at again after: rm results/csv/data/probe/shard_0.csv",
    )
    prepared.refuses("results/csv/data/manifest.csv", says=says)
    prepared.replace(CONFIG, "max_excluded: 1", "max_excluded: 0, max_missing: 0.2")
    done = prepared.make("results/csv/data/manifest.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rule probe_videos:" not in done.stdout + done.stderr, "a limit is no reason to probe again"
    assert "rule build_manifest:" in done.stdout + done.stderr


def test_a_class_without_a_training_clip(prepared):
    """Its only training video cannot be read."""
    lists = {split: demo_rows(prepared, split) for split in ("train", "val", "test")}
    (prepared.root / "results/demo/cut.mp4").write_bytes(b"")
    lists["train"].append(("cut.mp4", "somersault"))
    use_split_files(prepared, lists)
    says = ("Error: 1 classes have no usable training video, such as somersault", "leave the classes out")
    prepared.refuses("results/csv/data/manifest.csv", says=says)


def test_a_results_folder_below_a_file(fresh):
    fresh.replace(CONFIG, "results_dir: results", "results_dir: taken/results")
    (fresh.root / "taken").write_text("mine")
    fresh.refuses(says=("Error: results_dir: taken is a file", "choose another results_dir"), results="taken")
    assert (fresh.root / "taken").read_text() == "mine"


def test_a_results_folder_on_a_read_only_disk(fresh):
    with small_disk(fresh.root / "results", 2**20, read_only=True):
        fresh.refuses(says=("Error: results_dir: results cannot be written", "choose another results_dir"))


def test_a_results_folder_on_a_disk_without_a_byte(fresh):
    """Where not even a log can be written."""
    with small_disk(fresh.root / "results", 2**20) as disk:
        (disk / "others").write_bytes(bytes(2**20))
        fresh.refuses(says=("Error: results_dir: the disk of results is full", "choose another results_dir"))
        assert [path.name for path in disk.iterdir()] == ["others"]


def copy_results(trained: Small, project: Small, *left_out: str) -> int:
    """Copy the results with their times, without the folders `left_out`; returns the bytes they occupy."""
    source, target = trained.root / "results", project.root / "results"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*left_out), dirs_exist_ok=True)
    return occupied(target)


def occupied(folder: Path) -> int:
    files = folder.rglob("*") if folder.is_dir() else [folder]
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in files if path.is_file())


@pytest.mark.parametrize("stores", [0.5, 1.5], ids=["none", "its spool only"])
def test_a_disk_too_small_for_the_frames(trained, fresh, stores):
    """Frames are spooled before the store is written, so that room for one store is not enough."""
    size = sum(occupied(trained.root / "results" / name) for name in ("demo", "data"))
    room = stores * occupied(trained.root / STORE)
    with small_disk(fresh.root / "results", int(size + room) + 2**16):
        copy_results(trained, fresh, "ffn", "frames")
        says = (f"Error: cannot write {STORE}: No space left on device", "Free space")
        fresh.refuses(STORE, says=says)


@pytest.mark.parametrize(("networks", "file"), [(1, "state.pt"), (4.5, "model.safetensors")])
def test_a_disk_too_small_for_a_training(trained, fresh, networks, file):
    """A state holds a network four times: its weights, AdamW's two moments and the best weights."""
    network = sum(value.nbytes for value in load_file(trained.root / WEIGHTS).values())
    size = sum(occupied(trained.root / "results" / name) for name in ("demo", "data", "frames"))
    with small_disk(fresh.root / "results", int(size + networks * network) + 2**18):
        copy_results(trained, fresh, "ffn")
        says = ("Error: cannot write results/ffn/st4/seed0", f"{file}: No space left", "Free space")
        fresh.refuses(WEIGHTS, says=says)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("frame_counts: [4]", "frame_counts: [4, 64]", "ffn.variants.st4.frame_counts"),
        ("max_count: 4", "max_count: 64", "ffn.predict.max_count"),
    ],
)
def test_more_frames_than_a_video_has(prepared, old, new, place):
    prepared.replace(CONFIG, old, new)
    says = (f"{place}: 64 frames are asked of videos stored with 16", "raise frames.per_video")
    prepared.refuses(PREDICTIONS, says=says)


def train_by_hand(project: Small, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The training script on the project's frame stores, into `by_hand`."""
    places = ["--run-dir=by_hand", "--arch=resnet_tiny", "--size=32", "--batch-size=4"]
    command = [sys.executable, "-m", "workflow_scripts.train", "ffn", *places, *arguments]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("option", ["--file=init", "--resume"])
def test_a_checkpoint_of_another_architecture(trained, tmp_path, option):
    other = build_model(FFNSettings(arch="resnet18", frame_counts=(4,), weight_alteration=False), 12)
    save_file(
        {name: value.contiguous() for name, value in other.state_dict().items()},
        tmp_path / "resnet18.safetensors",
    )
    done = train_by_hand(trained, f"{option}={tmp_path}/resnet18.safetensors")
    check_refusal(done, ("resnet18.safetensors fits only", "choose one that fits the settings"))
    assert not (trained.root / "by_hand").exists()


@pytest.mark.parametrize("option", ["--file=init", "--resume", "--class-names"])
def test_a_file_that_is_not_there(trained, option):
    done = train_by_hand(trained, f"{option}=nowhere.safetensors")
    check_refusal(done, ("Error: ", "nowhere.safetensors", "does not exist"))
    assert not (trained.root / "by_hand").exists()


def test_two_runs_at_once_on_one_results_folder(prepared):
    command = [WEIGHTS, "--forceall", "--cores", "1", "--configfile", CONFIG]
    first = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *command],
        cwd=prepared.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    locks = prepared.root / ".snakemake/locks"
    while not any(locks.glob("*.lock")):
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.05)
    second = prepared.snakemake(*command)
    assert first.poll() is None, "the first run ended before the second one could meet it"
    check_refusal(second, ("Directory cannot be locked", "no other Snakemake process", "--unlock"))
    said, _ = first.communicate(timeout=120)
    assert first.returncode == 0, said
    assert "100%" in said
    assert (prepared.root / WEIGHTS).exists()
    check_whole(prepared.root / "results")
