"""Students through Snakemake: what is made, what a change makes anew, what a kill costs, and the gate."""

from __future__ import annotations

import json
import shutil
from typing import NamedTuple

import pandas as pd
import pytest
from sklearn.metrics import f1_score

from tests.workflow.conftest import TINY, Project
from tests.workflow.kills import Kill, copied, kill_in_each
from tests.workflow.test_reproducible import differing
from vidkd.paths import Paths, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("student")]

PATHS = Paths("results/tiny")
STUDENTS = ("ce", "distilled", "cached")
FIGURES = ("curves", "confusion", "attention", "mistakes")
TIMES = [f"ms_{threads}" for threads in (1, 2)]


def test_the_table_has_a_row_for_each_student_and_one_for_the_teacher(every_method):
    table = pd.read_csv(every_method.root / PATHS.student_table).set_index("variant")
    assert tuple(table.index) == (*STUDENTS, "teacher")
    for name in STUDENTS:
        found = pd.read_csv(every_method.root / PATHS.student.predictions.format(student=name, seed=0))
        assert table.loc[name, "top1"] == pytest.approx(
            100 * (found["pred"] == found["label_id"]).mean(), abs=1e-3
        )
    assert table["teacher_view"].to_dict() == {
        "ce": "none", "distilled": "online", "cached": "cached", "teacher": "itself",
    }  # fmt: skip
    assert table["train_clips"].to_dict() == {"ce": 60, "distilled": 120, "cached": 120, "teacher": 60}
    assert (table["labelled_clips"] == 60).all()
    assert table[TIMES].gt(0).all(axis=None)


def test_every_file_says_what_made_it(every_method):
    runs = [{"student": name, "seed": 0} for name in STUDENTS]
    parts = ("weights", "config", "history", "predictions", "metrics", "efficiency")
    files = [getattr(PATHS.student, part).format(**run) for run in runs for part in parts]
    heads = (PATHS.teacher.weights, PATHS.teacher.config, PATHS.teacher.predictions, PATHS.teacher.metrics)
    files += [artefact.format(label=label) for artefact in heads for label in ("colour", "motion")]
    files += [PATHS.student_table, PATHS.teacher_table]
    files += [PATHS.figure.format(figure=f"{kind}_student") for kind in FIGURES]
    for file in files:
        record = json.loads((every_method.root / sidecar(file)).read_text())
        assert record["artefact"]["bytes"] == (every_method.root / file).stat().st_size > 0
        assert len(record["code"]) == 64


def test_each_student_reads_what_it_learns_from_and_no_more(every_method):
    read = {}
    for name in STUDENTS:
        weights = every_method.root / sidecar(PATHS.student.weights.format(student=name, seed=0))
        inputs = json.loads(weights.read_text())["inputs"]
        read[name] = {"/".join(file.removeprefix("results/tiny/").split("/")[:3]) for file in inputs}
    networks = {
        name: {of.split("/")[1] for of in read[name] if of.startswith("weights/")} for name in STUDENTS
    }
    assert networks == {"ce": {"timm"}, "distilled": {"timm", "clip"}, "cached": {"timm", "clip"}}
    read = {name: {of for of in files if not of.startswith("weights/")} for name, files in read.items()}
    frames = {"frames/train/shard_0.h5", "frames/val/shard_0.h5"}
    labels = frames | {"data/labels/colour.csv", "data/labels/colour.json"}
    assert read["ce"] == labels
    assert read["distilled"] == labels | {"student/teacher/colour", "features/clip/val"}
    assert read["cached"] == labels | {"student/teacher/colour", "features/clip/val", "features/clip/train"}


def test_the_page_has_them_and_says_what_the_gate_refuses(every_method):
    page = (every_method.root / PATHS.report).read_text()
    for text in ("Students of a CLIP teacher", "distilled", "p_holm", "labelled_clips"):
        assert text in page
    for kind in FIGURES:
        assert f'<figure id="figure-{kind}_student">' in page
    assert "As a teacher of <b>motion</b>, <b>clip</b> is refused" in page
    assert "As a teacher of <b>colour</b>" not in page


def test_rows_of_the_summary_are_those_of_the_predictions(every_method):
    """Of two methods whose predictions look different, read without any of the project's code."""
    table = pd.read_csv(every_method.root / PATHS.report_table.format(table="summary"))
    rows = table.set_index(["method", "variant"])
    student = pd.read_csv(every_method.root / PATHS.student.predictions.format(student="distilled", seed=0))
    ffn = pd.read_csv(every_method.root / PATHS.ffn.predictions.format(variant="tsm", seed=0))
    found = {("student", "distilled"): student, ("ffn", "tsm"): ffn.rename(columns={"pred_8f": "pred"})}
    for name, of in found.items():
        right = of["pred"] == of["label_id"]
        assert rows.loc[name].top1 == pytest.approx(100 * right.mean(), abs=1e-3)
        assert rows.loc[name].mean_class == pytest.approx(
            100 * right.groupby(of["label_id"]).mean().mean(), abs=1e-3
        )
        f1 = f1_score(of["label_id"], of["pred"], average="macro")
        assert rows.loc[name].f1 == pytest.approx(100 * f1, abs=1e-3)


class Change(NamedTuple):
    """A change of a file, and the jobs that it asks for until the table of students."""

    name: str
    file: str
    old: str
    new: str
    plan: dict[str, int]


def students(number: int, **others: int) -> dict[str, int]:
    each = dict.fromkeys(("train_student", "predict_student", "evaluate_student"), number)
    return {**others, **each, "measure_student": 1, "tabulate_student": 1}


TABLE = {"tabulate_student": 1}
TAUGHT_ANEW = {**students(3, fit_teacher_head=1), "train_student": 2}
CODE = ("\ndef ", "\nCHANGED = 1\n\n\ndef ")
CHANGES = [
    Change("recipe", TINY, "epochs: 3, batch_size: 12", "epochs: 4, batch_size: 12", students(2)),
    Change("one student", TINY, "distilled: {}", "distilled: {beta: 2}", students(1)),
    Change("one student more", TINY, "    ce:", "    kd: {alpha: 0}\n    ce:", students(1)),
    Change("default written out", TINY, "distilled: {}", "distilled: {temperature: 3}", {}),
    Change("the loss", "vidkd/methods/student/loss.py", *CODE, students(3)),
    Change("the teacher", "vidkd/methods/student/prompts.py", *CODE, TAUGHT_ANEW),
    # Whatever teaches it, a student is predicted beside its teacher.
    Change("prompts", TINY, "margin: 3}", 'margin: 3, templates: ["a {} thing"]}', TAUGHT_ANEW),
    Change(
        "code of the figures", "vidkd/evaluate/student.py", *CODE, {"evaluate_student": 3, **TABLE}
    ),
    Change("what it is compared with", TINY, "student:\n", "student:\n  baseline: cached\n", TABLE),
    Change("what is exported", TINY, "student:\n", "student:\n  export: cached\n", {}),
    Change("comment", "vidkd/methods/student/model.py", "\nclass ", "\n# why\nclass ", {}),
    Change("FFN", TINY, "size: 48", "size: 40", {}),
    Change("machine", TINY, "mem_mb: 2000", "mem_mb: 3000", {}),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_plan_after_a_change(every_method, change):
    with every_method.restored(change.file):
        every_method.replace(change.file, change.old, change.new)
        plan = every_method.plan(PATHS.student_table)
    if plan and change.plan:  # what labels alone teach does not wait for the teacher
        plan = plan | {name: plan[name] for name in change.plan if name in plan}
    assert plan == change.plan


def test_all_labels_are_another_task(every_method):
    with every_method.restored(TINY):
        every_method.replace(TINY, "  labels: marked\n", "")
        assert every_method.plan(PATHS.student_table) == students(3, fit_teacher_head=1)


def test_nothing_runs_once_everything_is_as_it_was(every_method):
    assert every_method.plan() == {}


def test_without_a_teacher_there_is_none_of_it(project):
    assert not {"fit_teacher_head", "train_student", "export_student"} & set(project.plan())


def test_the_gate_stops_a_run_whose_teacher_knows_nothing_of_the_label(every_method, tmp_path):
    """Frames one by one do not show the motion."""
    project = Project(tmp_path / "project")
    shutil.copytree(every_method.root, project.root, symlinks=True)
    project.replace(TINY, "  label: colour\n", "  label: motion\n")
    project.replace(TINY, "  also_judged: [motion]\n", "")
    done = project.snakemake(PATHS.student_table, "--cores", "1", "--configfile", TINY)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "the teacher is refused: its validation top-1 is" in said
    assert "Traceback" not in said
    table = project.snakemake(PATHS.teacher_table, "--cores", "1", "--configfile", TINY)
    assert table.returncode == 0, table.stderr
    heads = pd.read_csv(project.root / PATHS.teacher_table)
    assert not heads.loc[heads["used"], "gate"].any()


RUN = PATHS.student.folder.format(student="distilled", seed=0)
KILLS = {
    "fit_teacher_head": Kill(PATHS.teacher.weights.format(label="colour")),
    "train_student": Kill(f"{RUN}/model.safetensors", f"{RUN}/.state/state.pt"),
    "predict_student": Kill(f"{RUN}/predictions.csv"),
    "draw_mistakes": Kill(PATHS.figure.format(figure="mistakes_student")),
    "export_student": Kill(PATHS.exported),
}


def test_a_kill_in_any_rule_costs_nothing_but_time(every_method, tmp_path):
    """kill -9 of Snakemake and its jobs in one rule after another; then the same command, the same bytes."""
    project = copied(every_method, tmp_path / "project")
    kill_in_each(project, KILLS)
    assert differing(project, every_method) == []
