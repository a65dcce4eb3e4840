"""Tri-model students through Snakemake: what is made, what changes and kills cost, and the gates."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
import transformers

from tests.workflow.conftest import TINY, Project
from tests.workflow.kills import Kill, copied, kill_in_each
from tests.workflow.test_reproducible import differing
from tests.workflow.test_student import Change
from vidkd.paths import Paths, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("trimodel")]

PATHS = Paths("results/tiny")
STUDENTS = ("ce", "both", "random_assistant")


def run_file(project: Project, name: str, file: str):
    return project.root / PATHS.trimodel.folder.format(trimodel=name, seed=0) / file


def test_the_table_has_a_row_for_each_student_and_for_both_networks(every_method):
    table = pd.read_csv(every_method.root / PATHS.trimodel_table).set_index("variant")
    assert tuple(table.index) == (*STUDENTS, "teacher", "assistant")
    for name in STUDENTS:
        found = pd.read_csv(run_file(every_method, name, "predictions.csv"))
        right = 100 * (found["pred"] == found["label_id"]).mean()
        assert table.loc[name, "top1"] == pytest.approx(right, abs=1e-3)
    assert table["assistant"].dropna().to_dict() == {
        "ce": "none", "both": "loaded", "random_assistant": "random",
    }  # fmt: skip
    assert table["train_clips"].to_dict() == {
        "ce": 60, "both": 120, "random_assistant": 120, "teacher": 60, "assistant": 60,
    }  # fmt: skip
    taught = ["teacher_feature_loss", "assistant_attention_loss", "asymmetric_loss"]
    assert table.loc["both", taught].gt(0).all()
    assert table.loc["ce"].drop("task_loss").filter(like="_loss").isna().all()
    assert table[["ms_1", "ms_2", "params", "gflops", "ap"]].gt(0).all(axis=None)
    classes = pd.read_csv(every_method.root / PATHS.trimodel_classes, index_col="class")
    assert list(classes.columns) == [*STUDENTS, "teacher", "assistant"]


def test_the_heads_are_measured_and_judged(every_method):
    table = pd.read_csv(every_method.root / PATHS.trimodel_networks).set_index("role")
    assert table["network"].to_dict() == {"teacher": "vmae", "assistant": "amd"}
    assert table["gate"].all()
    assert (table["fitted_on"] == 60).all()


def test_the_student_is_a_folder_of_transformers(every_method):
    folder = run_file(every_method, "both", "network")
    network = transformers.VideoMAEForVideoClassification.from_pretrained(folder)
    assert network.config.num_labels == 6
    weights = run_file(every_method, "both", "model.safetensors")
    record = json.loads((every_method.root / sidecar(str(weights))).read_text())
    used = {name.split("/")[1] for name in record["inputs"] if name.startswith("weights/")}
    assert used == {"teacher", "assistant"}


def test_the_page_has_them(every_method):
    page = (every_method.root / PATHS.report).read_text()
    for text in ("Students of a teacher and an assistant", "random_assistant", "top1_per_mparams"):
        assert text in page


def students(number: int, **others: int) -> dict[str, int]:
    each = dict.fromkeys(("train_trimodel", "predict_trimodel", "evaluate_trimodel"), number)
    return {**others, **each, "measure_trimodel": 1, "tabulate_trimodel": 1}


CODE = ("\ndef ", "\nCHANGED = 1\n\n\ndef ")
CHANGES = [
    Change("recipe", TINY, "epochs: 2, batch_size: 12", "epochs: 3, batch_size: 12", students(2)),
    Change("one student", TINY, "both: {}", "both: {temperature: 2}", students(1)),
    Change("default written out", TINY, "both: {}", "both: {temperature: 4}", {}),
    Change("the loss", "vidkd/methods/trimodel/loss.py", *CODE, students(3)),
    Change("comment", "vidkd/methods/trimodel/loss.py", "\ndef ", "\n# why\ndef ", {}),
    Change("code of the figures", "vidkd/evaluate/trimodel.py", *CODE,
           {"evaluate_trimodel": 3, "tabulate_trimodel": 1}),
    Change("what it is compared with", TINY, "trimodel:\n", "trimodel:\n  baseline: both\n",
           {"tabulate_trimodel": 1}),
    Change("FFN", TINY, "size: 48", "size: 40", {}),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_plan_after_a_change(every_method, change):
    with every_method.restored(change.file):
        every_method.replace(change.file, change.old, change.new)
        plan = every_method.plan(PATHS.trimodel_table)
    assert plan == change.plan


def test_without_a_teacher_there_is_none_of_it(project):
    assert not {"fit_trimodel_head", "train_trimodel"} & set(project.plan())


def test_the_gate_stops_a_run_whose_networks_know_nothing_of_the_label(every_method, tmp_path):
    project = Project(tmp_path / "project")
    shutil.copytree(every_method.root, project.root, symlinks=True)
    project.replace(TINY, "{margin: 3}\n  label: colour", "{margin: 30}\n  label: motion")
    done = project.snakemake(PATHS.trimodel_table, "--cores", "1", "--configfile", TINY)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "the teacher is refused: its validation top-1 is" in said
    assert "Traceback" not in said


RUN = PATHS.trimodel.folder.format(trimodel="both", seed=0)
KILLS = {
    "fit_trimodel_head": Kill(PATHS.trimodel_head.weights.format(backbone="amd")),
    "train_trimodel": Kill(f"{RUN}/model.safetensors", f"{RUN}/.state/state.pt"),
}


def test_a_kill_in_any_rule_costs_nothing_but_time(every_method, tmp_path):
    """kill -9 of Snakemake and its jobs in one rule after another; then the same command, the same bytes."""
    project = copied(every_method, tmp_path / "project")
    kill_in_each(project, KILLS)
    assert differing(project, every_method) == []
