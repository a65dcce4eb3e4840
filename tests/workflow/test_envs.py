"""The conda environments ask for what pyproject.toml asks for."""

from __future__ import annotations

import ast
import re
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.workflow.conftest import ROOT

CONDA_NAMES = {
    "torch": "pytorch",
    "open_clip_torch": "open-clip-torch",
    "huggingface-hub": "huggingface_hub",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = {
    CONDA_NAMES.get(requirement.name, requirement.name): requirement.specifier
    for requirement in map(
        Requirement, [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["tensorboard"]]
    )
}
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda path: path.stem)
def test_environment_has_the_ranges_of_pyproject(file):
    environment = yaml.safe_load(file.read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    for dependency in environment["dependencies"]:
        name, _, wanted = dependency.partition(" ")
        if name == "python":
            assert wanted.startswith(PROJECT["requires-python"])
        else:
            assert SpecifierSet(wanted) == REQUIRED[name], dependency


def test_there_are_three():
    assert [file.stem for file in ENVIRONMENTS] == ["report", "train", "video"]


IMPORT_NAMES = {
    "yaml": "pyyaml",
    "torch": "pytorch",
    "PIL": "pillow",
    "pydantic_core": "pydantic",
    "open_clip": "open-clip-torch",
    "sklearn": "scikit-learn",
    "markupsafe": "jinja2",
}
RULE = re.compile(
    r'conda:\s+"\.\./envs/(\w+)\.yaml".*?python -m (?:\{resources\.launch\})?([\w.]+)', re.DOTALL
)
SCRIPTS = {
    script: environment
    for file in (ROOT / "rules").glob("*.smk")
    for environment, script in RULE.findall(file.read_text())
}


def imported(module: str, seen: set[str]) -> set[str]:
    """Packages outside the project and the standard library that `module` and what it imports need."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    if module in seen or not path.is_file():
        return set()
    seen.add(module)
    packages = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            top = name.split(".")[0]
            if top in ("vidkd", "workflow_scripts"):
                packages |= imported(name, seen)
            elif top not in sys.stdlib_module_names:
                packages.add(IMPORT_NAMES.get(top, top))
    return packages


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_environment_has_what_the_script_imports(script):
    environment = yaml.safe_load((ROOT / "envs" / f"{SCRIPTS[script]}.yaml").read_text())
    names = {dependency.partition(" ")[0] for dependency in environment["dependencies"]}
    assert imported(script, set()) <= names


def test_every_script_of_a_rule_is_checked():
    text = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    assert len(SCRIPTS) == len(re.findall(r"^(?:rule|checkpoint) \w+:", text, re.MULTILINE))
