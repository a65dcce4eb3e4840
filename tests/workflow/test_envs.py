"""The conda environments ask for what pyproject.toml asks for."""

from __future__ import annotations

import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.workflow.conftest import ROOT

CONDA_NAMES = {"torch": "pytorch"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = {
    CONDA_NAMES.get(requirement.name, requirement.name): requirement.specifier
    for requirement in map(Requirement, PROJECT["dependencies"])
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
