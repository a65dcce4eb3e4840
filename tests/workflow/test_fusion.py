"""Converters and fusion through Snakemake: what is made, what a change makes anew, and what a kill costs."""

from __future__ import annotations

import json
from typing import NamedTuple

import pandas as pd
import pytest

from tests.workflow.conftest import TINY
from tests.workflow.kills import Kill, copied, kill_in_each
from tests.workflow.test_reproducible import differing
from vidkd.paths import Paths, sidecar

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fusion")]

PATHS = Paths("results/tiny")
CONVERTERS = [
    {"converter": converter, "teacher": teacher, "seed": 0}
    for converter in ("resampler", "linear", "random")
    for teacher in ("video", "image")
]
FUSIONS = ("student", "teacher", "converted", "real", "random", "finetuned")
FIGURES = (
    *("converters", "similarity", "curves_converters"),
    *("fusion", "curves_fusion", "confusion_fusion", "mistakes_fusion"),
)


def test_both_tables_have_a_row_for_each_run(every_method):
    quality = pd.read_csv(every_method.root / PATHS.converter_table)
    wanted = {(run["converter"], run["teacher"], split) for run in CONVERTERS for split in ("val", "test")}
    assert set(quality[["converter", "teacher", "split"]].itertuples(index=False, name=None)) == wanted
    assert quality.groupby("split")["clips"].unique().map(list).to_dict() == {"val": [48], "test": [24]}
    table = pd.read_csv(every_method.root / PATHS.fusion_table)
    assert tuple(table["variant"]) == FUSIONS
    assert {"seeds", "top1", "top1_std", "p_vs_student"} <= set(table.columns)
    assert table.loc[table["variant"] == "student", "p_vs_student"].isna().all()


def test_accuracies_are_those_of_the_predictions(every_method):
    table = pd.read_csv(every_method.root / PATHS.fusion_table).set_index("variant")
    for name in FUSIONS:
        found = pd.read_csv(every_method.root / PATHS.fusion.predictions.format(fusion=name, seed=0))
        assert len(found) == 24
        share = 100 * sum(found["pred"] == found["label_id"]) / 24
        assert table.loc[name, "top1"] == pytest.approx(share, abs=1e-3)


def test_every_file_says_what_made_it(every_method):
    files = [PATHS.converters.weights.format(**run) for run in CONVERTERS]
    files += [PATHS.converters.metrics.format(**run) for run in CONVERTERS]
    files += [PATHS.converted.format(split="test", **CONVERTERS[0])]
    files += [PATHS.fusion.predictions.format(fusion=name, seed=0) for name in FUSIONS]
    files += [PATHS.fusion_table, PATHS.converter_table, PATHS.modes, PATHS.latency, PATHS.similarity]
    files += [PATHS.figure.format(figure=name) for name in FIGURES]
    for file in files:
        record = json.loads((every_method.root / sidecar(file)).read_text())
        assert record["artefact"]["bytes"] == (every_method.root / file).stat().st_size > 0
        assert len(record["code"]) == 64


def test_each_head_reads_what_it_is_made_of_and_no_more(every_method):
    """Real teachers from their own caches, converted ones from their converters'."""
    read = {}
    for name in FUSIONS:
        weights = PATHS.fusion.weights.format(fusion=name, seed=0)
        inputs = json.loads((every_method.root / sidecar(weights)).read_text())["inputs"]
        read[name] = {
            file.removeprefix("results/tiny/").split("/")[1] for file in inputs if "/test/" not in file
        }
        read[name] -= {"classes.json"}
    assert read == {
        "student": {"inside"},
        "teacher": {"video"},
        "converted": {"inside", "resampler.video", "resampler.image"},
        "real": {"inside", "video", "image"},
        "random": {"inside", "random.video", "random.image"},
        "finetuned": {"inside", "resampler.image"},
    }


def test_both_modes_agree(every_method):
    modes = pd.read_csv(every_method.root / PATHS.modes)
    assert (modes["variant"] == "converted").all()
    assert modes["agree"].all()
    assert (modes["max_logit_difference"] <= 1e-5).all()
    assert (modes["same_predictions"] == modes["clips"]).all()


def test_the_page_shows_them(every_method):
    page = (every_method.root / PATHS.report).read_text()
    for text in ("resampler", "finetuned", 'data-table="fusion"'):
        assert text in page


class Change(NamedTuple):
    """A change of a file, and the jobs that it asks for until the table of fusion."""

    name: str
    file: str
    old: str
    new: str
    plan: dict[str, int]


def heads(number: int, **others: int) -> dict[str, int]:
    return {**others, "train_fusion": number, "evaluate_fusion": number, "tabulate_fusion": 1}


TABLE_ONLY = {"tabulate_fusion": 1}
CODE = ("\ndef ", "\nCHANGED = 1\n\n\ndef ")
CHANGES = [
    Change("recipe of the heads", TINY, "epochs: 2, width: 16", "epochs: 3, width: 16", heads(6)),
    Change("one head", TINY, "real: {features: real}", "real: {features: real, lr: 0.1}", heads(1)),
    Change("one head more", TINY, "    student:", "    wide: {width: 24}\n    student:", heads(1)),
    Change("its sweep", TINY, "[1e-3, 1e-2]", "[1e-3]", heads(6)),
    Change("default written out", TINY, "width: 16,", "width: 16, dropout: 0.1,", {}),
    Change("code of the head", "vidkd/methods/fusion/loss.py", *CODE, heads(6)),
    # The linear one is in no head, and its quality is another table.
    Change("a converter of no head", TINY, "kind: linear", "kind: linear, lr: 0.1", {}),
    Change(
        "a converter", TINY, "resampler: {}", "resampler: {lr: 0.1}",
        heads(2, train_converter=2, convert_features=2),
    ),
    Change(
        "code of converters", "vidkd/methods/converters/loss.py", *CODE,
        heads(3, train_converter=4, convert_features=4),
    ),
    Change("code of the figures", "vidkd/evaluate/fusion.py", *CODE, {"evaluate_fusion": 6, **TABLE_ONLY}),
    Change("what it is compared with", TINY, "fusion:\n", "fusion:\n  baseline: real\n", TABLE_ONLY),
    Change("comment", "vidkd/methods/fusion/model.py", "\nclass ", "\n# why\nclass ", {}),
    Change("FFN", TINY, "size: 48", "size: 40", {}),
    Change("machine", TINY, "mem_mb: 2000", "mem_mb: 3000", {}),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_plan_after_a_change(every_method, change):
    with every_method.restored(change.file):
        every_method.replace(change.file, change.old, change.new)
        assert every_method.plan(PATHS.fusion_table) == change.plan


def test_one_teachers_features_are_what_its_readers_wait_for(every_method):
    with every_method.restored(TINY):
        every_method.replace(TINY, "folder: weights/timm, frames: 4}", "folder: weights/timm, frames: 8}")
        plan = every_method.plan(PATHS.fusion_table)
    # Three converters to it, of which two are used; every head but the student's and the other teacher's.
    assert plan == heads(4, cache_features=3, train_converter=2, convert_features=2)


def test_nothing_runs_once_everything_is_as_it_was(every_method):
    assert every_method.plan() == {}


def test_without_a_student_there_is_none_of_it(project):
    assert not {"train_converter", "train_fusion", "export_fusion"} & set(project.plan())


RUN = PATHS.converters.folder.format(converter="resampler", teacher="video", seed=0)
HEAD = PATHS.fusion.folder.format(fusion="converted", seed=0)
KILLS = {
    "train_converter": Kill(f"{RUN}/model.safetensors", f"{RUN}/.state/state.pt"),
    "convert_features": Kill(f"{RUN}/features/test/shard_0.h5"),
    "evaluate_converter": Kill(f"{RUN}/metrics.json"),
    "train_fusion": Kill(f"{HEAD}/model.safetensors", f"{HEAD}/.state/*/state.pt"),
    "evaluate_fusion": Kill(f"{HEAD}/metrics.json"),
    "tabulate_fusion": Kill(PATHS.fusion_table),
    "compare_features": Kill(PATHS.similarity),
    "export_fusion": Kill(PATHS.bundle),
    "compare_modes": Kill(PATHS.modes),
}


def test_a_kill_in_any_rule_costs_nothing_but_time(every_method, tmp_path):
    """kill -9 of Snakemake and its jobs in one rule after another; then the same command, the same bytes."""
    project = copied(every_method, tmp_path / "project")
    kill_in_each(project, KILLS)
    assert differing(project, every_method) == []
