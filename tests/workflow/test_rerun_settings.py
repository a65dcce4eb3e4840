"""Code of settings reruns the steps that it decides; a default, a limit or a description reruns none."""

from __future__ import annotations

import ast
import importlib
import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from vidkd import lazy
from vidkd.config.base import Section
from vidkd.provenance import PACKAGES, ROOT, SETTINGS, digest_closure
from vidkd.registry import METHODS, find_method

STEPS = {
    name: (f"workflow_scripts.{name}",)
    for name in (
        *("list_videos", "extract_frames", "cache_features", "train_checkpoint"),
        *("fit_teacher", "tabulate_report", "build_report"),
    )
}
STEPS |= {
    f"train {name}": ("workflow_scripts.train", lazy.module_of(find_method(name).TRAIN)) for name in METHODS
}
"""The modules whose digest decides whether a step runs again, as its rule names them in `code(...)`."""

FFN, STUDENT, TRIMODEL, FUSION = {"train ffn"}, {"train student"}, {"train trimodel"}, {"train fusion"}
CLIPS = {"train_checkpoint"} | FFN | STUDENT | TRIMODEL
PROBES = {"fit_teacher", "train probes"} | STUDENT | TRIMODEL
REPORT = {"tabulate_report", "build_report"}

CLIP_FILE, FFN_FILE = "vidkd/config/clips.py", "vidkd/methods/ffn/settings.py"
FUSION_FILE, STUDENT_FILE = "vidkd/methods/fusion/settings.py", "vidkd/methods/student/settings.py"
TRIMODEL_FILE, REFERENCES_FILE = "vidkd/methods/trimodel/settings.py", "vidkd/config/references.py"


class Change(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    steps: set[str]
    """Those whose digest changes; all others keep theirs."""


CHANGES = [
    Change(
        "ClipSettings.jitter",
        CLIP_FILE,
        "return self.brightness, self.contrast",
        "return self.contrast, self.brightness",
        CLIPS,
    ),
    Change("ClipSettings.kept_frames", CLIP_FILE, "self.frame_stride + 1", "self.frame_stride + 2", CLIPS),
    Change("FusionSettings.trials", FUSION_FILE, "product(*self.sweep", "zip(*self.sweep", FUSION),
    Change("TriModelSettings.sources", TRIMODEL_FILE, "if weight and self.distils}", "if weight}", TRIMODEL),
    Change(
        "TriModelSettings.distils",
        TRIMODEL_FILE,
        "return bool(any(terms)",
        "return bool(all(terms)",
        TRIMODEL,
    ),
    Change("StudentSettings.taught", STUDENT_FILE, "self.alpha or self.beta or", "self.alpha or", STUDENT),
    Change(
        "CheckpointSettings.steps",
        "vidkd/config/checkpoints.py",
        "if single else self.frames //",
        "if single else 2 * self.frames //",
        {"train_checkpoint"},
    ),
    Change(
        "references.data_set_of",
        REFERENCES_FILE,
        "return ADAPTERS.get((adapter, classes))",
        "return ADAPTERS.get((adapter, classes + 1))",
        REPORT,
    ),
    Change("references.ADAPTERS", REFERENCES_FILE, '("ssv2", 174)', '("ssv2", 173)', REPORT),
    Change("default of a reference", REFERENCES_FILE, 'default="top1"', 'default="top5"', REPORT),
    Change("FFNSettings, a validator", FFN_FILE, "if not self.sharing and", "if self.sharing and", FFN),
    Change(
        "LinearSettings, a validator",
        "vidkd/config/teacher.py",
        "or strengths[0] <= 0",
        "or strengths[0] < 0",
        PROBES,
    ),
    Change(
        "Settings, a validator",
        "vidkd/config/settings.py",
        "if count > self.frames",
        "if count >= self.frames",
        set(),
    ),
    Change(
        "words of an error",
        "vidkd/config/problems.py",
        "frames are asked of videos",
        "frames are wanted of videos",
        set(),
    ),
    Change(
        "one more method",
        "vidkd/registry.py",
        "METHODS = {",
        'METHODS = {"another": "vidkd.methods.another.plan:Another",',
        set(),
    ),
    Change("default of clips", CLIP_FILE, "(1.0, 0.875, 0.75, 0.66)", "(1.0, 0.875)", set()),
    Change("default of FFN", FFN_FILE, "lambda_kl: float = Field(1.0", "lambda_kl: float = Field(2.0", set()),
    Change("default section", FFN_FILE, "= PredictSettings()", "= PredictSettings(max_count=8)", set()),
    Change(
        "limit of a student",
        STUDENT_FILE,
        '0.5, ge=0, description="Weight of the feature',
        '0.5, ge=0.1, description="Weight of the feature',
        set(),
    ),
    Change(
        "choices of a trimodel", TRIMODEL_FILE, 'Literal["kl", "mse"]', 'Literal["kl", "mse", "js"]', set()
    ),
    Change(
        "description of clips", CLIP_FILE, "The same for the contrast.", "Likewise for the contrast.", set()
    ),
    Change("description of FFN", FFN_FILE, "Weight of the KL terms.", "Weight of KL.", set()),
    Change(
        "a new setting",
        "vidkd/config/training.py",
        "    lr: float = Field(0.01",
        "    ema: float = 0.0\n    lr: float = Field(0.01",
        set(),
    ),
]


@pytest.fixture(scope="module")
def digests(tmp_path_factory):
    """The digest of each step, after `old` became `new` in a file of a copy of the project."""

    def compute(file: str = "", old: str = "", new: str = "") -> dict[str, str]:
        root = tmp_path_factory.mktemp("project")
        for package in PACKAGES:
            shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
        if file:
            text = (root / file).read_text()
            assert text.count(old) == 1, f"{old!r} is not once in {file}"
            (root / file).write_text(text.replace(old, new))
        return {step: digest_closure(str(root), modules) for step, modules in STEPS.items()}

    return compute


@pytest.fixture(scope="module")
def before(digests):
    return digests()


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_steps_after_a_change(digests, before, change):
    after = digests(change.file, change.old, change.new)
    assert {step for step in STEPS if after[step] != before[step]} == change.steps


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if path.stem != "__init__"
}
OF_SETTINGS = [name for name in MODULES if SETTINGS.fullmatch(name)]


@pytest.mark.parametrize("name", OF_SETTINGS)
def test_what_a_digest_takes_for_a_setting_is_one(name):
    """A field of a NamedTuple or a dataclass there would be left out as well, though no rule compares it."""
    module = importlib.import_module(name)
    for found in vars(module).values():
        if inspect.isclass(found) and found.__module__ == name and not issubclass(found, Section):
            fields = inspect.get_annotations(found)
            assert not fields, f"{found.__name__} has fields and is no Section"


def made_settings(name: str, path: Path) -> Iterator[tuple[str, set[str]]]:
    """For each settings object that a module makes: its place, and the settings left to their default."""
    tree = ast.parse(path.read_text())
    classes = {
        alias.asname or alias.name: getattr(importlib.import_module(node.module), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and SETTINGS.fullmatch(node.module)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            made = classes.get(node.func.id)
            if inspect.isclass(made) and issubclass(made, Section):
                given = {keyword.arg for keyword in node.keywords}
                left = set() if None in given else set(made.model_fields) - given
                yield f"{name}, line {node.lineno}: {node.func.id}", left


def test_settings_that_code_makes_name_every_setting():
    """A digest does not cover defaults, so that code which relies on one would not run again with another."""
    by_hand = {"workflow_scripts.inspect_videos", "vidkd.report.references", "vidkd.workflow.data"}
    by_hand |= {"vidkd.methods.trimodel.notebook.models"}
    found = [
        made
        for name, path in MODULES.items()
        if name not in by_hand and not SETTINGS.fullmatch(name)
        for made in made_settings(name, path)
    ]
    assert any("ClipSettings" in place for place, _ in found)
    assert {place: left for place, left in found if left} == {}
