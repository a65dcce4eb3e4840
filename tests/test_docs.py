"""The documents say what is so: README against the project, and the examples of the others, run."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import networkx
import pytest
import yaml

from tests.data.feature_files import other, write_shard
from tests.workflow.conftest import Project, copy_project
from tests.workflow.test_dag import rule_graph
from vidkd.config.load import load_settings
from vidkd.paths import Paths
from vidkd.registry import METHODS, find_method

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = {
    str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
    for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "config/README.md")
}
README, ADDING = DOCUMENTS["README.md"], DOCUMENTS["docs/adding.md"]


# ---- README


def rule_names(text: str) -> list[str]:
    return re.findall(r"^(?:(?:rule|checkpoint)|use rule \w+ as) (\w+)(?: with)?:$", text, re.MULTILINE)


def stages() -> dict[str, str]:
    """Rule → the file that it is in."""
    found = {}
    for file in (ROOT / "rules").glob("*.smk"):
        found |= dict.fromkeys(rule_names(file.read_text()), file.stem)
    return found


def test_the_picture_has_every_stage_and_what_it_waits_for(tmp_path):
    """Of several ways from one stage to another the longest is drawn."""
    picture = re.search(r"```mermaid\n(.*?)```", README, re.DOTALL)[1]
    drawn = set(re.findall(r"^\s*(\w+) --> (\w+)$", picture, re.MULTILINE))
    _, edges = rule_graph(copy_project(tmp_path), "config/config.yaml")
    stage = stages()
    whole = networkx.DiGraph({(stage[a], stage[b]) for a, b in edges if stage[a] != stage[b]})
    assert drawn == set(networkx.transitive_reduction(whole).edges)
    assert set(whole) == set(stage.values())


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    wanted = {re.split(r"[<>=~! ]", requirement)[0] for requirement in needed}
    table = README.partition("## Dependencies")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.+) \|$", table, re.MULTILINE))
    assert set(rows) == wanted
    assert all(rows.values())


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert named <= targets
    assert {"demo", "test", "test-fast", "lint", "fmt", "bench"} <= named


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name):
    """In links, and in ticks where the path starts with a folder of the project."""
    text, folder = DOCUMENTS[name], (ROOT / name).parent
    links = {link for link in re.findall(r"\]\(([^)#]+)(?:#[\w-]*)?\)", text) if "://" not in link}
    assert not [link for link in links if not (folder / link).exists()]
    folders = "config|rules|vidkd|workflow_scripts|profiles|envs|tests|docs|benchmarks"
    named = set(re.findall(rf"(?<![\w/.])((?:{folders})/[\w/.-]+\.(?:py|md|ya?ml|smk|json))", text))
    new = set(re.findall(r"^`([\w/.]+)`, new:$", text, re.MULTILINE))
    assert not [file for file in named - new if "NAME" not in file and not (ROOT / file).exists()]


def patterns(paths: object) -> list[str]:
    """The artefacts that are properties of `paths`."""
    return [getattr(paths, name) for name, value in vars(type(paths)).items() if isinstance(value, property)]


def test_the_tree_of_results_is_that_of_the_rules():
    """Files of data and report, of a run of any method, and tables and exports of each."""
    tree = README.partition("## Where results land")[2].partition("```")[2].partition("```")[0]
    wanted = {pattern.rpartition("/")[2] for pattern in [*patterns(Paths()), *patterns(Paths().run())]}
    wanted |= {"{method}", "{run}", "teachers", "latency.csv"}
    for method in map(find_method, METHODS):
        wanted |= {f"{table}.csv" for table in method.TABLES}
        wanted |= {method.EXPORTED} if method.EXPORT else set()
    shown = {re.sub(r"\{(\w+)\}", r"{\1}", word) for word in re.findall(r"[\w{}.]+", tree)}
    assert not {name for name in wanted if name not in shown}


OPTION = r"(?<![\w-])--[a-z][a-z-]*"
COMMANDS = {
    (name, command)
    for name, text in DOCUMENTS.items()
    for command in re.findall(r"^python -m (workflow_scripts\.(?:[^\n]|(?<=\\)\n)+)", text, re.MULTILINE)
}


def options_of(words: str) -> set[str]:
    """Options of a script: the name of its module, followed by a method where each has its own command."""
    module, *rest = words.split()
    main = importlib.import_module(module).main
    if isinstance(main, click.Group):
        method = rest[0] if rest else ""
        main = main.get_command(click.Context(main), method)
        assert main is not None, f"{module} has no command {method!r}"
    return {"--help", *(option for parameter in main.params for option in parameter.opts)}


@pytest.mark.parametrize(("name", "command"), sorted(COMMANDS))
def test_commands_have_the_options_that_are_given(name, command):
    command = command.partition("#")[0]
    assert set(re.findall(OPTION, command)) <= options_of(command)


def test_a_command_of_no_method_is_noticed():
    with pytest.raises(AssertionError, match="no command 'fnn'"):
        options_of("workflow_scripts.train fnn --epochs 5")


@pytest.mark.parametrize(
    ("name", "command", "some"),
    [
        ("README.md", "train ffn", {"--test-run", "--eval-only", "--resume"}),
        ("docs/fusion.md", "train fusion", {"--use-cached-features", "--root", "--lr"}),
    ],
)
def test_options_that_are_named_exist(name, command, some):
    block = DOCUMENTS[name].partition("## By hand")[2].partition("\n## ")[0]
    prose = re.sub(r"```.*?```|`(?:snakemake|python) .*?`", "", block, flags=re.DOTALL)
    named = set(re.findall(OPTION, prose))
    assert some <= set(re.findall(OPTION, block))
    assert named - {"--help"} <= options_of(f"workflow_scripts.{command}")


def test_the_configuration_for_own_videos_is_right():
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    settings = load_settings(yaml.safe_load(text))
    assert settings.data.adapter == "folder"
    assert settings.results_dir not in ("results", "results/ucf101")


def messages(text: str, heading: str) -> list[str]:
    """Of the first column of the table below `heading`, which may name several."""
    rows = re.findall(r"^\| (`[^|]+) \|", text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0], re.M)
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


MESSAGES = [
    *messages(README, "Troubleshooting"),
    *messages(DOCUMENTS["docs/fusion.md"], "What is refused"),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_are_those_of_the_code(message):
    """Each piece between the dots stands in the code, or is a message of another program."""
    foreign = (
        "operator torchvision::nms",
        "Directory cannot be locked",
        "IncompleteFilesException",
        "Config file",
        "Unparsable value",
    )
    if message.startswith(foreign):
        return
    files = [*(ROOT / "vidkd").rglob("*.py"), ROOT / "rules/common.smk"]
    text = "".join(re.sub(r'"\s*\n\s*f?"', "", file.read_text()) for file in files)
    for piece in filter(None, (piece.strip(" .") for piece in message.split("…"))):
        assert piece in text, piece


def test_there_are_messages():
    assert len(MESSAGES) >= 40


# ---- docs/features.md

FEATURES = DOCUMENTS["docs/features.md"]


def test_the_backbone_of_the_example_is_right():
    (text,) = re.findall(r"```yaml\n(.*?)```", FEATURES, re.DOTALL)
    settings = load_settings(yaml.safe_load(text.replace("<commit of 40 digits>", f"'{40 * '0'}'")))
    assert settings.backbones["videomae"].fp16


def test_caches_are_read_as_the_example_says(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", FEATURES, re.DOTALL)
    for name, shape in (("clip", {}), ("videomae", {"steps": 2, "width": 7})):
        folder = tmp_path / "results/features" / name / "train"
        write_shard(folder / "shard_0.h5", ["a", "c", "e"], other(backbone=name), **shape)
        write_shard(folder / "shard_1.h5", ["b", "d"], other(backbone=name), **shape)
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nprint(rows.shape)"], cwd=tmp_path, capture_output=True, text=True,
        check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    line = r"torch.Size\(\[2, 3, 5\]\) torch.Size\(\[2, 2, 7\]\) tensor\(\[\d+, +\d+\]\)\n"
    assert re.fullmatch(rf"({line}){{2}}torch.Size\(\[2, 3, 5\]\)\n", done.stdout)


def test_what_the_document_says_of_options_is_so():
    """Left of the table the original project's, right ours."""
    command = [sys.executable, "-m", "workflow_scripts.cache_features", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    table = FEATURES.partition("| original project")[2].partition("\n\n")[0]
    ours = re.findall(r"^\| [^|]+ \| ([^|]+) \|", table, re.MULTILINE)
    named = re.findall(r"`(?:--)?(\w+)`", " ".join(ours))
    assert {"batch", "workers", "frames", "fp16", "tokens", "views", "crops"} <= set(named)
    assert not [name for name in named if f"--{name.replace('_', '-')} " not in done.stdout]


# ---- docs/adding.md

NEW = re.compile(r"^`([\w/.]+)`, new:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHANGED = re.compile(r"^`([\w/.]+)`, changed[^\n]*:\n\n```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def apply_examples(project: Project) -> None:
    """Do to `project` what the document says."""
    for name, text in NEW.findall(ADDING):
        assert not (project.root / name).exists(), f"{name} exists: choose another example"
        (project.root / name).write_text(text)
    for name, diff in CHANGED.findall(ADDING):
        lines = diff.splitlines()
        old = "\n".join(line[1:] for line in lines if line[0] in " -")
        new = "\n".join(line[1:] for line in lines if line[0] in " +")
        assert (project.root / name).read_text().count(old) == 1, f"{name} has not one {old!r}"
        project.replace(name, old, new)


def run(project: Project, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=project.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Project:
    """The project with the examples in it, and a data set of three classes."""
    project = copy_project(tmp_path_factory.mktemp("extended"))
    apply_examples(project)
    data = project.root / "data/mine"
    data.mkdir(parents=True)
    lines = [
        f"{label}/{n}.mp4\t{label}\t{'test' if n == 3 else 'train'}" for label in "abc" for n in range(4)
    ]
    (data / "videos.txt").write_text("\n".join(lines) + "\n")
    run(project, "workflow_scripts.write_config_docs")
    return project


def test_the_examples_are_found():
    assert [name for name, _ in NEW.findall(ADDING)] == [
        "vidkd/data/adapters/tabs.py",
        "config/experiments/mine.yaml",
    ]
    assert len(CHANGED.findall(ADDING)) == ADDING.count("```diff") == 5


def test_the_new_adapter_lists_videos(extended):
    settings = json.dumps({"adapter": "tabs", "root": "data/mine", "annotations": ".", "n_shards": 1})
    run(
        extended, "workflow_scripts.list_videos", "--shards", "out", "--classes", "out/classes.json",
        "--settings", settings,
    )  # fmt: skip
    assert json.loads((extended.root / "out/classes.json").read_text()) == ["a", "b", "c"]
    header, *rows = (extended.root / "out/shard_0.csv").read_text().splitlines()
    assert header == "video_id,path,label,split,group,labels"
    assert "a/3,a/3.mp4,a,test,,a" in rows
    assert sorted(row.split(",")[2] for row in rows if row.split(",")[3] == "val") == ["a", "b", "c"]
    assert len(rows) == 12


def test_the_new_variants_are_planned(extended):
    done = extended.dry_run("--configfile", "config/experiments/mine.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    plan = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE))
    assert plan["train"] == plan["predict"] == "6"
    assert plan["list_videos"] == plan["probe_videos"] == "1"


def test_the_new_variants_change_what_they_say(extended):
    program = (
        "from vidkd.config.load import load_settings\n"
        "experiment = load_settings('config/experiments/mine.yaml').ffn\n"
        "print([experiment.variant(name).lambda_kl for name in ('ffn', 'ffn_kl05', 'ffn_kl2')])\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=extended.root, capture_output=True, text=True, check=True)
    assert done.stdout == "[1.0, 0.5, 2.0]\n"


def test_the_contract_tests_pick_the_new_entries_up(extended):
    chosen = (
        "test_an_adapter_loads or test_adapters_are or test_an_architecture_learns or test_architectures_are"
    )
    report = run(extended, "pytest", "tests/test_contracts.py", "-k", chosen, "-rA", "-p", "no:cacheprovider")
    assert (
        "PASSED tests/test_contracts.py::test_an_adapter_loads_and_its_layout_is_documented[tabs]" in report
    )
    assert re.search(r"^PASSED .*learns_.*\[resnet26\]$", report, re.MULTILINE)


def test_the_generated_documents_know_the_new_entries(extended):
    run(extended, "workflow_scripts.write_config_docs", "--check")
    assert "tabs" in (extended.root / "config/schema.json").read_text()


def test_the_new_code_has_the_style_of_the_old(extended):
    new = "vidkd/data/adapters/tabs.py"
    run(extended, "ruff", "check", new)
    run(extended, "ruff", "format", "--check", new)
