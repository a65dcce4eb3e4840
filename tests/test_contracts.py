"""What holds for every script, rule, adapter, method and architecture; new ones are found by themselves."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import pytest
import torch
from click.testing import CliRunner
from pydantic import BaseModel

from tests.workflow.test_envs import imported
from vidkd import lazy
from vidkd.config.data import DataSettings
from vidkd.config.describe import leaves, without_null
from vidkd.config.load import load_settings
from vidkd.data.adapters.registry import ADAPTERS, find_adapter
from vidkd.methods.base import Plan
from vidkd.methods.ffn.model import ARCHITECTURES, build_model
from vidkd.methods.ffn.settings import Arch, FFNSettings
from vidkd.methods.needs import Needs
from vidkd.registry import METHODS, find_method
from vidkd.report.plan import planned_figures

ROOT = Path(__file__).resolve().parents[1]


def has_step(script: str, method: str) -> bool:
    return script == "train" or bool(find_method(method).PREDICT)


FILES = sorted(path.stem for path in (ROOT / "workflow_scripts").glob("*.py") if path.stem != "__init__")
OF_METHODS = ("train", "predict")
"""Scripts with a command for each method."""
SCRIPTS = [name for name in FILES if name not in OF_METHODS]
SCRIPTS += [f"{name} {method}" for name in OF_METHODS for method in METHODS if has_step(name, method)]
MODULES = sorted(path for path in (ROOT / "vidkd").rglob("*.py") if path.stem != "__init__")
LIGHT = (
    "vidkd.config",
    "vidkd.artefacts",
    "vidkd.provenance",
    "vidkd.paths",
    "vidkd.errors",
    "vidkd.files",
    "vidkd.backbones.registry",
    "vidkd.data.adapters.folder",
    "vidkd.data.shards",
    "vidkd.registry",
    "vidkd.workflow",
    "vidkd.methods.base",
    *(f"vidkd.methods.{method}.{part}" for method in METHODS for part in ("plan", "settings")),
)
HEAVY = ("torch", "torchvision", "pandas", "numpy", "h5py", "av", "matplotlib", "snakemake")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


# ---- scripts


@dataclass(frozen=True)
class Script:
    """A script, or its command of one method, and the settings that it asks for."""

    name: str

    @property
    def file(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def path(self) -> Path:
        return ROOT / "workflow_scripts" / f"{self.file}.py"

    @property
    def command(self) -> click.Command:
        main = importlib.import_module(f"workflow_scripts.{self.file}").main
        method = self.name.partition(" ")[2]
        return main.get_command(click.Context(main), method) if method else main

    @property
    def flags(self) -> set[str]:
        return {flag for option in self.command.params for flag in (*option.opts, *option.secondary_opts)}

    @property
    def model(self) -> tuple[type[BaseModel], set[str]] | None:
        """The settings model of `@settings_options`, and the settings that have no option."""
        if self.file == "train":
            method = find_method(self.name.partition(" ")[2])
            return method.RECIPE, set(method.CLASHING)
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
    assert {"list_videos", "train ffn", "build_report"} <= set(SCRIPTS)
    assert {"train ffn", "extract_frames"} <= set(WITH_SETTINGS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_a_thin_command_with_help(name):
    script = Script(name)
    assert re.fullmatch(r"[a-z]+(_[a-z_]+)?", script.file), "scripts are named verb or verb_noun"
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
    command = [sys.executable, "-m", "workflow_scripts.train", "ffn", "--settings", '{"no_such_key": 1}']
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
SHARED = ("train",)
"""Rules that may have a process for each GPU."""


def script_of(rule: Rule) -> Script:
    return Script(f"{rule.name} ffn" if rule.name in OF_METHODS else rule.name)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_calls_the_script_of_its_name_with_options_it_has(rule):
    launch = "python -m {resources.launch}" if rule.name in SHARED else "python -m "
    assert rule.shell.startswith(f"{launch}workflow_scripts.{rule.name} ")
    script = script_of(rule)
    assert script.path.is_file()
    assert rule.flags <= script.flags
    required = {p.opts[0] for p in script.command.params if p.required and isinstance(p, click.Option)}
    assert required <= rule.flags


INPUTS = [
    (rule.name, flag or argument.opts[0])
    for rule in RULES
    if "--needs" not in rule.flags
    for flag, argument in [
        *((flag, None) for flag in re.findall(r"(--[\w-]+) \{input\.\w+\}", rule.shell)),
        *((None, p) for p in script_of(rule).command.params if isinstance(p, click.Argument)),
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
    assert {("check_frames", "--manifest"), ("tabulate_report", "metrics")} <= set(INPUTS)


PLAN = Plan(load_settings(ROOT / "config/experiments/tiny.yaml"))


def steps() -> Iterator[tuple[str, list[str], Needs]]:
    """What every step of every method would be given, by name."""
    for name in METHODS:
        method = find_method(name)(PLAN)
        run = method.trained()[-1]
        settings = ["--settings", method.settings_text(run)]
        yield f"train {name}", ["train", name, *settings], method.train_needs(run, 0)
        if method.PREDICT:
            files = ["--predictions=p.csv", "--efficiency=e.json"]
            settings = ["--settings", json.dumps(method.prediction_settings())]
            yield f"predict {name}", ["predict", name, *files, *settings], method.predict_needs(run, 0)
        about = [f"--run={run}", "--seed=0", "--metrics=m.json"]
        yield f"evaluate {name}", ["evaluate", name, *about], method.evaluate_needs(run, 0)
        if method.measured:
            settings = ["--settings", json.dumps(method.measure_settings())]
            yield f"measure {name}", ["measure", name, "--output=l.csv", *settings], method.measure_needs()
        if method.exports:
            yield f"export {name}", ["export", name, "--output=folder"], method.export_needs()
        for teacher, of in method.teachers().items():
            settings = ["--settings", json.dumps(of.settings)]
            yield f"teacher {name} {teacher}", ["fit_teacher", "--run-dir=t", *settings], of.needs
        for table in method.tables().values():
            settings = ["--settings", json.dumps(table.settings)]
            yield f"table {table.path}", ["tabulate", table.make, "--table=t.csv", *settings], table.needs
    for name, figure in planned_figures([find_method(of)(PLAN) for of in METHODS], PLAN).items():
        yield f"figure {name}", ["draw", figure.draw, "--figure=f.svg"], figure.needs


STEPS = {name: (words, needs) for name, words, needs in steps()}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_whose_inputs_are_missing_is_refused(name, tmp_path, monkeypatch):
    """With the name of one of them, and nothing left behind."""
    monkeypatch.chdir(tmp_path)
    (script, *words), needs = STEPS[name]
    main = importlib.import_module(f"workflow_scripts.{script}").main
    result = CliRunner().invoke(main, [*words, "--needs", needs.text()])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2, result.output
    assert "results/tiny/" in result.output
    assert "Traceback" not in result.output
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_depends_on_its_code_and_settings(rule):
    assert re.search(r"^        code=(flow\.|code\()", rule.text, re.MULTILINE)
    if script_of(rule).model:
        assert "--settings {params.settings:q}" in rule.shell
        assert re.search(r"^        settings=", rule.text, re.MULTILINE)


def test_what_only_judges_results_is_code_of_no_training():
    """A figure more, or another table, trains nothing again."""
    read: set[str] = set()
    imported("workflow_scripts.train", read)
    for name in METHODS:
        imported(find_method(name).TRAIN.partition(":")[0], read)
    judging = {path.stem for path in (ROOT / "vidkd/evaluate").glob("[a-z]*.py")}
    judging -= {"scores", "token_errors"}  # validation has these
    judging = {f"vidkd.evaluate.{name}" for name in judging}
    judging |= {f"vidkd.methods.{name}.{part}" for name in METHODS for part in ("table", "figures")}
    assert not judging & read


def test_every_script_is_used():
    elsewhere = (ROOT / "Makefile").read_text() + (ROOT / "README.md").read_text()
    unused = [
        name
        for name in FILES
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
def test_a_method_has_the_parts_that_the_road_asks_for(name):
    """Light ones that say what it is and needs; what does the work is named in the plan."""
    wanted = {"plan", "settings"}
    assert wanted <= {path.stem for path in (ROOT / "vidkd/methods" / name).glob("*.py")}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_tests(name):
    assert list((ROOT / "tests/methods" / name).glob("test_*.py"))


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_names_is_there(name):
    method = find_method(name)(PLAN)
    entries = [method.TRAIN, method.PREDICT, method.EVALUATE, method.MEASURE, method.EXPORT, method.BY_HAND]
    entries += [*(table.make for table in method.tables().values())]
    entries += [figure.draw for figure in method.figures().values()]
    assert all(callable(lazy.load(entry)) for entry in entries if entry)
    assert set(method.REPORTED) <= set(method.tables())
    assert {Path(table.path).stem for table in method.tables().values()} <= set(method.TABLES)


def test_nothing_but_the_registry_names_a_method():
    """A fifth method is a folder and a line: settings, paths, rules, report and the road do not know it."""
    places = [ROOT / "vidkd/paths.py", *(ROOT / "vidkd/workflow").glob("*.py")]
    places += [*(ROOT / "vidkd/report").glob("*.py")]
    places += [ROOT / "vidkd/config/settings.py", *(ROOT / "rules").glob("*.smk"), ROOT / "Snakefile"]
    places += [*(ROOT / "vidkd/methods").glob("*.py"), *(ROOT / "workflow_scripts").glob("*.py")]
    # Heads of teachers are linear probes; the others are doors of two methods by hand.
    others = ("teacher", "teacher_model", "distil_trimodel", "predict_videos")
    places = [path for path in places if path.stem not in others]
    named = re.compile(rf"vidkd\.methods\.({'|'.join(METHODS)})\b|[\"'.]({'|'.join(METHODS)})[\"']")
    found = {str(path.relative_to(ROOT)): m[0] for path in places if (m := named.search(path.read_text()))}
    assert found == {}


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


ORDER = ("config", "engine", "video", "data", "features", "backbones", "evaluate", "methods", "report")


def level(module: str) -> int:
    """How high in the house a module is; what lies beside the wings is below them all."""
    package, _, rest = module.partition(".")
    wing = rest.partition(".")[0]
    return len(ORDER) if package == "workflow_scripts" or wing == "workflow" else (
        ORDER.index(wing) if wing in ORDER else -1
    )  # fmt: skip


def imports(tree: ast.AST) -> Iterator[str]:
    """Modules of the project that are imported anywhere, but for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vidkd"):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("vidkd"))
        yield from imports(node)


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_no_import_runs_upwards(path):
    """config < engine < video < data < features < backbones < evaluate < methods < report < scripts."""
    module = dotted(path)
    if module == "vidkd.artefacts":  # reads the canonical settings
        return
    found = [name for name in imports(ast.parse(path.read_text())) if level(name) > level(module)]
    assert found == []


def test_packages_are_empty():
    """All but that of the notebook, whose users import everything from it as seed 002 does."""
    notebook = ROOT / "vidkd/methods/trimodel/notebook/__init__.py"
    inits = [*(ROOT / "vidkd").rglob("__init__.py"), ROOT / "workflow_scripts/__init__.py"]
    assert [path for path in inits if path.read_text().strip()] == [notebook]
    folders = {path.parent for path in MODULES}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]
