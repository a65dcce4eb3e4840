"""What holds for every script, rule, adapter, method and architecture; new ones are found by themselves."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import pytest
import torch
from click.testing import CliRunner
from pydantic import BaseModel

from tests.workflow.test_envs import imported
from vidkd.config.data import DataSettings
from vidkd.config.describe import leaves, without_null
from vidkd.data.adapters.registry import ADAPTERS, find_adapter
from vidkd.methods.ffn.model import ARCHITECTURES, build_model
from vidkd.methods.ffn.settings import Arch, FFNSettings

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(path.stem for path in (ROOT / "workflow_scripts").glob("*.py") if path.stem != "__init__")
MODULES = sorted(path for path in (ROOT / "vidkd").rglob("*.py") if path.stem != "__init__")
METHODS = sorted(path.parent.name for path in (ROOT / "vidkd/methods").glob("*/__init__.py"))
LIGHT = (
    "vidkd.config",
    "vidkd.provenance",
    "vidkd.paths",
    "vidkd.errors",
    "vidkd.files",
    "vidkd.backbones.registry",
    "vidkd.methods.probes.registry",
    "vidkd.data.adapters.folder",
)
HEAVY = ("torch", "torchvision", "pandas", "numpy", "h5py", "av", "matplotlib", "snakemake")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


# ---- scripts


@dataclass(frozen=True)
class Script:
    """A script and the settings that its source asks for."""

    name: str

    @property
    def path(self) -> Path:
        return ROOT / "workflow_scripts" / f"{self.name}.py"

    @property
    def command(self) -> click.Command:
        return importlib.import_module(f"workflow_scripts.{self.name}").main

    @property
    def flags(self) -> set[str]:
        return {flag for option in self.command.params for flag in (*option.opts, *option.secondary_opts)}

    @property
    def model(self) -> tuple[type[BaseModel], set[str]] | None:
        """The settings model of `@settings_options`, and the settings that have no option."""
        for node in ast.walk(ast.parse(self.path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "settings_options":
                model = getattr(importlib.import_module(f"workflow_scripts.{self.name}"), node.args[0].id)
                return model, {name for word in node.keywords for name in ast.literal_eval(word.value)}
        return None

    def run(self, *arguments: str, given: dict[str, str] | None = None) -> Any:
        """Run it in this process, with a value, perhaps `given`, for everything that it cannot do without."""
        needed = []
        for parameter in self.command.params:
            if parameter.required:
                flag = parameter.opts[:1] if isinstance(parameter, click.Option) else []
                needed += [*flag, (given or {}).get(parameter.opts[0], sample(parameter.type))]
        return CliRunner().invoke(self.command, [*needed, *arguments])


def sample(kind: click.ParamType) -> str:
    """A value that click takes for this kind of option."""
    if isinstance(kind, click.Path) and kind.exists:
        return __file__
    if isinstance(kind, click.Choice):
        return str(kind.choices[0])
    return "0" if isinstance(kind, click.types.IntParamType) else "nowhere"


WITH_SETTINGS = [name for name in SCRIPTS if Script(name).model]


def assert_refused(result: Any, words: str) -> None:
    """Exit 2 with a sentence: `SystemExit` is click's own way out, anything else would be a traceback."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


def test_the_discovery_finds_something():
    assert {"list_videos", "train_ffn", "build_report"} <= set(SCRIPTS)
    assert {"train_ffn", "extract_frames"} <= set(WITH_SETTINGS)
    assert "ffn" in METHODS


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_a_thin_command_with_help(name):
    script = Script(name)
    assert re.fullmatch(r"[a-z]+_[a-z_]+", name), "scripts are named verb_noun"
    assert len(script.path.read_text().splitlines()) <= 60
    assert ast.get_docstring(ast.parse(script.path.read_text()))
    assert isinstance(script.command, click.Command)
    result = CliRunner().invoke(script.command, ["--help"])
    assert result.exit_code == 0
    undescribed = [p.name for p in script.command.params if isinstance(p, click.Option) and not p.help]
    assert not undescribed


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_unknown_option_is_refused(name):
    assert_refused(Script(name).run("--no-such-option"), "--no-such-option")


@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_its_options_are_the_fields_of_its_settings(name):
    script = Script(name)
    model, excluded = script.model
    fields = {".".join(path) for path, _ in leaves(model)}
    assert excluded <= fields
    wanted = {"--" + field.replace(".", "-").replace("_", "-") for field in fields - excluded}
    made = {option.opts[0] for option in script.command.params if option.name.startswith("settings_")}
    assert made == wanted
    assert "--settings" in script.flags
    assert {"--" + field.replace("_", "-") for field in excluded} <= script.flags, "left out for no reason"


def wrong_value(annotation: Any) -> str | None:
    """A value that a setting of this type refuses; None when it takes any text, or is a flag."""
    annotation, _ = without_null(annotation)
    if annotation in (int, float) or get_origin(annotation) is Literal:
        return "wrong"
    if get_origin(annotation) is tuple and get_args(annotation)[0] in (int, float):
        return "wrong"
    return "[" if get_origin(annotation) is dict else None


WRONG = [
    (name, "--" + "-".join(path).replace("_", "-"), value)
    for name in WITH_SETTINGS
    for path, field in leaves(Script(name).model[0])
    if ".".join(path) not in Script(name).model[1] and (value := wrong_value(field.annotation)) is not None
]


@pytest.mark.parametrize(("name", "flag", "value"), WRONG)
def test_a_wrong_value_is_refused_by_name(name, flag, value):
    assert_refused(Script(name).run(flag, value), flag)


@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_an_unknown_setting_is_refused(name):
    assert_refused(Script(name).run("--settings", json.dumps({"no_such_key": 1})), "no_such_key")


def test_a_process_ends_without_a_traceback():
    """One real process: the other scripts go the same way through vidkd.config.options."""
    command = [sys.executable, "-m", "workflow_scripts.train_ffn", "--settings", '{"no_such_key": 1}']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: settings: no_such_key: no such setting")
    assert "Traceback" not in done.stderr


# ---- rules


@dataclass(frozen=True)
class Rule:
    """A rule as it is written."""

    name: str
    text: str

    @property
    def shell(self) -> str:
        literals = re.findall(r'^\s+("(?:[^"\\]|\\.)*")$', self.text.partition("    shell:")[2], re.MULTILINE)
        return "".join(ast.literal_eval(literal) for literal in literals)

    @property
    def flags(self) -> set[str]:
        """Options in the command, and those that the params put into it."""
        return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", self.shell + self.text.partition("params:")[2]))


def find_rules() -> list[Rule]:
    found = []
    for file in sorted((ROOT / "rules").glob("*.smk")):
        _, *parts = re.split(r"^(?:rule|checkpoint) (\w+):$", file.read_text(), flags=re.MULTILINE)
        found += [Rule(name, text) for name, text in zip(parts[::2], parts[1::2], strict=True)]
    return found


RULES = find_rules()
SHARED = ("train_ffn", "train_student", "train_trimodel")
"""Rules that have a process for each GPU."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_calls_the_script_of_its_name_with_options_it_has(rule):
    launch = "python -m {resources.launch}" if rule.name in SHARED else "python -m "
    assert rule.shell.startswith(f"{launch}workflow_scripts.{rule.name} ")
    script = Script(rule.name)
    assert script.path.is_file()
    assert rule.flags <= script.flags
    required = {p.opts[0] for p in script.command.params if p.required and isinstance(p, click.Option)}
    assert required <= rule.flags


INPUTS = [
    (rule.name, flag or argument.opts[0])
    for rule in RULES
    for flag, argument in [
        *((flag, None) for flag in re.findall(r"(--[\w-]+) \{input\.\w+\}", rule.shell)),
        *((None, p) for p in Script(rule.name).command.params if isinstance(p, click.Argument)),
    ]
]


@pytest.mark.parametrize(("name", "parameter"), INPUTS)
def test_an_input_that_is_missing_is_refused(name, parameter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = Script(name)
    (found,) = [p for p in script.command.params if p.opts[0] == parameter]
    more = () if found.required else (*([parameter] if parameter.startswith("--") else []), "absent.csv")
    result = script.run(*more, given={parameter: "absent.csv"})
    # A script that looks for its frame stores first names those, which are missing as well.
    assert_refused(result, "absent.csv" if "frame store" not in result.output else "no frame store there")
    assert not list(tmp_path.iterdir())


def test_the_inputs_are_found():
    assert {
        ("draw_tfd", "--any-frame"),
        ("check_frames", "--manifest"),
        ("tabulate_report", "metrics"),
    } <= set(INPUTS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_depends_on_its_code_and_settings(rule):
    assert re.search(rf'code=code\(\s*"workflow_scripts\.{rule.name}"', rule.text)
    if rule.name in WITH_SETTINGS:
        assert "--settings {params.settings:q}" in rule.shell
        assert re.search(r"^        settings=", rule.text, re.MULTILINE)


def test_what_only_judges_results_is_code_of_no_training():
    """A figure more, or another table, trains nothing again."""
    read: set[str] = set()
    for script in ("fit_probe", "train_converter", "train_fusion"):
        imported(f"workflow_scripts.{script}", read)
    judging = {path.stem for path in (ROOT / "vidkd/evaluate").glob("[a-z]*.py")}
    judging -= {"accuracy", "efficiency", "token_errors"}  # validation and config.json have these
    assert not {f"vidkd.evaluate.{name}" for name in judging} & read


def test_every_script_is_used():
    elsewhere = (ROOT / "Makefile").read_text() + (ROOT / "README.md").read_text()
    unused = [
        name
        for name in SCRIPTS
        if name not in {rule.name for rule in RULES} and f"workflow_scripts.{name}" not in elsewhere
    ]
    assert not unused


# ---- registries


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_loads_and_its_layout_is_documented(name):
    adapter = find_adapter(name)
    assert list(inspect.signature(adapter).parameters) == ["settings", "root", "annotations"]
    assert adapter.__doc__
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", (ROOT / "config/README.md").read_text(), re.MULTILINE)
    assert name in rows


def test_adapters_are_those_that_settings_allow():
    assert set(ADAPTERS) == set(get_args(DataSettings.model_fields["adapter"].annotation))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_the_same_parts_as_the_others(name):
    folder = ROOT / "vidkd/methods" / name
    # What a converter predicts are features.
    wanted = {"model", "loss", "method", "train", "convert" if name == "converters" else "predict"}
    assert wanted <= {path.stem for path in folder.glob("*.py")}
    for place in (f"vidkd/methods/{name}/settings.py", f"rules/{name}.smk"):
        assert (ROOT / place).is_file(), place
    assert list((ROOT / "tests/methods" / name).glob("test_*.py"))


def test_architectures_are_those_that_settings_allow():
    assert set(ARCHITECTURES) == set(get_args(Arch))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_architecture_learns_in_every_part_of_the_frame_count_seen(arch):
    # 64 is the number of no block, so that `.64.` in a name means the frame count that is not seen.
    settings = FFNSettings(arch=arch, frame_counts=(4, 64), dropout=0, size=32)
    model = build_model(settings, n_classes=2).train()
    clip_BTCHW = torch.randint(0, 256, (1, 4, 3, 32, 32), dtype=torch.uint8)
    logit_BK = model(clip_BTCHW)
    assert logit_BK.shape == (1, 2)
    torch.nn.functional.cross_entropy(logit_BK, torch.tensor([1])).backward()
    for name, parameter in model.named_parameters():
        if ".64." in name:
            assert parameter.grad is None, f"gradient for {name}"
        else:
            assert parameter.grad is not None, f"no gradient for {name}"
            assert torch.isfinite(parameter.grad).all(), name


# ---- the house


def test_what_the_snakefile_reads_is_light():
    names = [name for path in MODULES if (name := dotted(path)).startswith(LIGHT)]
    assert len(names) > len(LIGHT)
    program = f"import sys, {', '.join(names)}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_is_short_and_says_what_it_is(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not {f.name: n for f in functions if (n := f.end_lineno - f.lineno + 1) > 60}


def test_packages_are_empty():
    """All but that of the notebook, whose users import everything from it as seed 002 does."""
    notebook = ROOT / "vidkd/methods/trimodel/notebook/__init__.py"
    inits = [*(ROOT / "vidkd").rglob("__init__.py"), ROOT / "workflow_scripts/__init__.py"]
    assert [path for path in inits if path.read_text().strip()] == [notebook]
    folders = {path.parent for path in MODULES}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]
