"""The tiny configuration, from nothing to the report page: every rule and every method, run once."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Iterator

import pandas as pd
import pytest
import transformers
from sklearn.metrics import f1_score

import vidkd.torchvision_ops  # noqa: F401  before transformers, which imports torchvision
from tests.workflow.conftest import ROOT, TINY, Project
from vidkd.config.data import SPLITS
from vidkd.config.load import load_settings
from vidkd.data.tables import read_classes
from vidkd.methods.base import Method, Plan
from vidkd.paths import sidecar
from vidkd.registry import METHODS, find_method
from vidkd.report.plan import planned, planned_figures

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tiny")]

PLAN = Plan(load_settings(ROOT / TINY))
PATHS = PLAN.paths
METHOD = {name: find_method(name)(PLAN) for name in METHODS}
CLASSIFIERS = [name for name in METHODS if METHOD[name].COMPARED]


def artefacts() -> Iterator[str]:
    """Everything that a rule declares but networks' folders."""
    yield from (PATHS.demo_annotations.format(split=split) for split in SPLITS)
    for shard in (0, 1):
        yield from (PATHS.videos.format(shard=shard), PATHS.probe.format(shard=shard))
        for split in SPLITS:
            yield PATHS.frames.format(split=split, shard=shard)
            yield PATHS.features.format(backbone="clip", split=split, shard=shard)
    yield from (PATHS.classes, PATHS.manifest, PATHS.excluded, PATHS.report)
    for method in METHOD.values():
        yield from runs_of(method)
        yield from (table.path for table in method.tables().values())
        yield from ([PATHS.latency(method.NAME)] if method.measured else [])
        for teacher in method.teachers():
            of = PATHS.teacher(method.NAME, teacher)
            yield from (of.weights, of.config, of.history, of.predictions, of.metrics)
    for name in planned_figures(list(METHOD.values()), PLAN):
        yield from (PATHS.figure.format(figure=name), PATHS.bitmap(PATHS.figure.format(figure=name)))
    yield from (PATHS.report_table.format(table=name) for name in planned(list(METHOD.values()), PLAN).made)


def runs_of(method: Method) -> Iterator[str]:
    for run in method.runs():
        of = method.of_run(run, method.seeds(run)[0])
        yield from [of.weights, of.config, of.history] if run in method.trained() else []
        yield from [of.predictions, of.efficiency] if method.CLASSIFIES else []
        yield of.metrics


@pytest.mark.parametrize("artefact", list(artefacts()))
def test_artefact_and_its_sidecar_exist(tiny, artefact):
    path = tiny.project.root / artefact
    assert path.stat().st_size > 0
    record = json.loads((tiny.project.root / sidecar(artefact)).read_text())
    assert record["artefact"]["bytes"] == path.stat().st_size
    assert len(record["code"]) == 64


def test_nothing_is_left_over(tiny):
    results = tiny.project.root / "results"
    assert [path for path in results.rglob("*") if path.suffix == ".tmp" or path.name == ".state"] == []


def test_second_call_does_nothing(tiny):
    done = tiny.project.snakemake("--cores", "1", "--configfile", TINY)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def table(tiny, path: str, index: str) -> pd.DataFrame:
    return pd.read_csv(tiny.project.root / path).set_index(index)


def predictions(tiny, method: str, run: str) -> pd.DataFrame:
    found = pd.read_csv(tiny.project.root / METHOD[method].of_run(run, 0).predictions)
    return found.rename(columns={"pred_16f": "pred"})


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_figures_are_those_of_the_predictions_wherever_they_stand(tiny, name):
    """In metrics.json, in the method's own table and in the summary; read without the project's code."""
    method = METHOD[name]
    summary = (
        table(tiny, PATHS.report_table.format(table="summary"), "method").loc[[name]].set_index("variant")
    )
    assert list(summary.index) == method.runs()
    own = method.tables()["tfd" if name == "ffn" else name].path
    column = "acc_16f" if name == "ffn" else "top1"
    rows = table(tiny, own, "variant")
    for run in method.runs():
        found = predictions(tiny, name, run)
        right = found["pred"] == found["label_id"]
        top1 = 100 * right.mean()
        metrics = json.loads((tiny.project.root / method.of_run(run, 0).metrics).read_text())
        assert metrics["top1"] == pytest.approx(top1)
        assert metrics["mean_class"] == pytest.approx(100 * right.groupby(found["label_id"]).mean().mean())
        f1 = f1_score(found["label_id"], found["pred"], average="macro")
        assert metrics["f1"] == pytest.approx(100 * f1)
        assert rows.loc[run, column] == pytest.approx(top1, abs=1e-3)
        assert summary.loc[run, "top1"] == pytest.approx(top1, abs=1e-3)
        assert summary.loc[run, "f1"] == pytest.approx(100 * f1, abs=1e-3)


def test_tables_have_rows_for_those_who_teach(tiny):
    student = table(tiny, PATHS.table("student", "student"), "variant")
    assert student["teacher_view"].to_dict() == {"ce": "none", "distilled": "online", "teacher": "itself"}
    assert student["train_clips"].to_dict() == {"ce": 24, "distilled": 48, "teacher": 24}
    trimodel = table(tiny, PATHS.table("trimodel", "trimodel"), "variant")
    assert list(trimodel.index) == ["ce", "both", "teacher", "assistant"]
    assert trimodel["assistant"].dropna().to_dict() == {"ce": "none", "both": "loaded"}
    assert trimodel.loc["both", ["assistant_attention_loss", "asymmetric_loss"]].gt(0).all()
    assert trimodel.loc["ce"].drop("task_loss").filter(like="_loss").isna().all()
    for rows in (student, trimodel):
        assert rows[["ms_1", "ms_2"]].gt(0).all(axis=None)
    classes = table(tiny, PATHS.table("trimodel", "per_class"), "class")
    assert list(classes.columns) == list(trimodel.index)
    networks = table(tiny, PATHS.table("trimodel", "networks"), "role")
    assert networks["network"].to_dict() == {"teacher": "videomae", "assistant": "amd"}
    assert networks["gate"].all()


def test_probes_and_converters_have_a_row_for_each_run(tiny):
    probes = pd.read_csv(tiny.project.root / PATHS.table("features", "probes"))
    names = probes[["backbone", "head", "label"]].agg(".".join, axis="columns")
    assert sorted(names) == sorted(METHOD["probes"].runs())
    assert probes["pairs"].notna().all()
    quality = pd.read_csv(tiny.project.root / PATHS.table("converters", "quality"))
    names = quality[["converter", "teacher", "split"]].agg(".".join, axis="columns")
    wanted = [f"{run}.{split}" for run in METHOD["converters"].runs() for split in ("test", "val")]
    assert sorted(names) == sorted(wanted)


def test_both_modes_of_the_bundle_agree(tiny):
    modes = pd.read_csv(tiny.project.root / PATHS.table("fusion", "modes"))
    assert (modes["variant"] == "converted").all()
    assert modes["agree"].all()
    assert (modes["max_logit_difference"] <= 1e-5).all()
    assert (modes["same_predictions"] == modes["clips"]).all()


def test_labels_are_those_of_the_videos(tiny):
    """The attribute that the demo wrote down, by video, through listing, training and prediction."""
    rows = pd.read_csv(tiny.project.root / PATHS.demo_annotations.format(split="test")).to_dict("records")
    wanted = {row["path"].removesuffix(".mp4"): row["colour"] for row in rows}
    found = predictions(tiny, "student", "distilled")
    classes = read_classes(tiny.project.root / PATHS.label_classes.format(label="colour"))
    labels = (classes[label] for label in found["label_id"])
    assert dict(zip(found["video_id"], labels, strict=True)) == wanted


def test_the_exported_student_of_three_networks_is_a_folder_of_transformers(tiny):
    folder = tiny.project.root / METHOD["trimodel"].exported
    network = transformers.VideoMAEForVideoClassification.from_pretrained(folder)
    assert network.config.num_labels == 6


def test_the_page_has_every_table_and_figure(tiny):
    page = (tiny.project.root / PATHS.report).read_text()
    sources = planned(list(METHOD.values()), PLAN)
    absent = [name for name in sources.figures if f'<figure id="figure-{name}">' not in page]
    absent += [name for name in sources.tables if f'data-table="{name}"' not in page and name != "excluded"]
    assert absent == []


def test_snakemake_has_a_report_of_its_own(tiny):
    """A zip with the page, figures and tables below their captions and categories."""
    done = tiny.project.snakemake("--configfile", TINY, "--report", "report.zip")
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(tiny.project.root / "report.zip") as report:
        names = report.namelist()
        index = next(name for name in names if name.endswith("report.html"))
        text = report.read(index).decode()
    for word in ("Frame Flexible Network", "Tri-model", "Tables", "Summary", "Data", "Page", "Workflow"):
        assert f'"{word}"' in text, word
    assert "A network trained at one frame count falls away from it" in text
    assert sum(name.endswith("/summary.csv") for name in names) == 1
    assert sum(name.endswith("/tfd.svg") for name in names) == 1


def test_every_split_file_names_its_videos_once(tiny):
    for split in SPLITS:
        with (tiny.project.root / PATHS.demo_annotations.format(split=split)).open() as stream:
            paths = [row["path"] for row in csv.DictReader(stream)]
        assert len(paths) == len(set(paths))


@pytest.mark.parametrize(
    ("method", "old"), [("student", "margin: 0}\n  base"), ("trimodel", "gate: {margin: 0}")]
)
def test_the_gate_stops_a_run_whose_teacher_knows_too_little(tiny, tmp_path, method, old):
    project = Project(tmp_path / "project")
    shutil.copytree(tiny.project.root, project.root, symlinks=True)
    project.replace(TINY, old, old.replace("0", "99"))
    target = PATHS.table(method, method)
    done = project.snakemake(target, "--cores", "2", "--configfile", TINY)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "the teacher is refused: its validation top-1 is" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("results/tiny/student/student.csv", "student.teacher.backbone"),
        ("results/tiny/fusion/fusion.csv", "converters.student"),
        ("results/tiny/features/probes.csv", "`backbones`"),
        ("results/tiny/trimodel/latency.csv", "trimodel.teacher"),
    ],
)
def test_a_target_of_what_is_not_configured_says_what_to_set(ffn_alone, target, says):
    done = ffn_alone.dry_run(target, "--configfile", TINY)
    assert done.returncode != 0
    assert says in done.stderr, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_features_without_backbones_say_so(ffn_alone):
    done = ffn_alone.dry_run("features", "--configfile", TINY)
    assert done.returncode != 0
    assert "Error: the configuration has no backbones" in done.stderr


def test_ffn_alone_has_nothing_of_the_others(ffn_alone):
    plan = ffn_alone.plan()
    assert plan["build_report"] == 1
    others = set(METHODS) - {"ffn"}
    assert not {name for name in plan if set(name.split()) & others}
    assert not {"cache_features", "list_labels", "fit_teacher", "train_checkpoint"} & set(plan)
