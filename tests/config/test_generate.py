from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from vidkd.config.backbones import BackboneSettings
from vidkd.config.checkpoints import CheckpointSettings
from vidkd.config.describe import leaves
from vidkd.config.generate import BEGIN, END, default_yaml, out_of_step, schema, write_documents
from vidkd.config.load import load_settings
from vidkd.config.settings import Settings
from vidkd.errors import UserError
from workflow_scripts.write_config_docs import main

CONFIG = Path(__file__).parents[2] / "config"
GENERATED = ["config.default.yaml", "schema.json", "README.md"]


@pytest.fixture
def folder(tmp_path):
    for name in GENERATED:
        shutil.copy(CONFIG / name, tmp_path / name)
    return tmp_path


def test_the_documents_are_in_step_with_the_settings():
    assert out_of_step(CONFIG) == [], "run python -m workflow_scripts.write_config_docs"


def test_the_default_file_gives_exactly_the_defaults():
    assert load_settings(CONFIG / "config.default.yaml") == Settings()


def test_the_default_file_says_all_of_each_setting():
    text = default_yaml()
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    prose = " ".join(line.strip().lstrip("# ") for line in text.splitlines())
    for path, field in leaves(Settings):
        assert field.description, path
        assert field.description in prose, path
    assert "Weight decay. Allowed: number, at least 0. weight_decay: 0.0005" in prose
    assert max(map(len, (line for line in text.splitlines() if "#" in line))) <= 110


def test_every_setting_has_a_row():
    readme = (CONFIG / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.split(BEGIN)[1].split(END)[0].splitlines() if line.startswith("| `")]
    named = len(BackboneSettings.model_fields) + len(CheckpointSettings.model_fields)
    assert len(rows) == len(list(leaves(Settings))) + named
    assert "| `backbones.NAME.frames` | whole number, at least 1, or null | `null` |" in "\n".join(rows)
    meaning = "H.264 quality: lower is better and larger."
    assert f"| `demo.crf` | whole number, at least 0, at most 51 | `18` | {meaning} |" in rows


def test_the_schema_types_variants_as_changes_of_base():
    whole = json.loads(schema())
    ffn = whole["$defs"]["FFNExperiment"]["properties"]
    changes = whole["$defs"]["FFNChanges"]
    assert ffn["variants"]["additionalProperties"] == {"$ref": "#/$defs/FFNChanges"}
    assert changes["additionalProperties"] is False
    assert "required" not in changes
    assert changes["properties"].keys() == whole["$defs"]["FFNSettings"]["properties"].keys()
    assert changes["properties"]["arch"]["enum"][0] == "resnet18"
    assert "default" not in changes["properties"]["epochs"]
    assert whole["additionalProperties"] is False


@pytest.mark.parametrize(
    "path", sorted({*CONFIG.rglob("*.yaml")} - {CONFIG / "references.yaml"}), ids=lambda path: path.name
)
def test_the_configurations_of_the_project_load_and_fit_the_schema(path):
    load_settings(path)
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(json.dumps(values)), json.loads(schema()))


@pytest.mark.parametrize(
    "values",
    [
        {"sedes": [0]},
        {"ffn": {"variants": {"a": {"epochs": 0}}}},
        {"ffn": {"variants": {"A": {}}}},
        {"seeds": []},
        {"backbones": {"Clip": {"folder": "clip"}}},
        {"backbones": {"clip": {"folder": "clip", "tokens": "all"}}},
    ],
)
def test_the_schema_refuses_what_loading_refuses(values):
    with pytest.raises(UserError):
        load_settings(values)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, json.loads(schema()))


@pytest.mark.parametrize("name", GENERATED)
def test_check_names_what_is_out_of_step_and_writing_mends_it(folder, name):
    runner = CliRunner()
    assert runner.invoke(main, ["--folder", str(folder), "--check"]).exit_code == 0
    (folder / name).write_text(
        (CONFIG / name).read_text(encoding="utf-8").replace("0.0005", "0.0006"), encoding="utf-8"
    )
    before = (folder / name).read_bytes()
    checked = runner.invoke(main, ["--folder", str(folder), "--check"])
    assert checked.exit_code == 1
    assert checked.stdout == f"{folder / name}: out of step\n"
    assert (folder / name).read_bytes() == before
    written = runner.invoke(main, ["--folder", str(folder)])
    assert written.exit_code == 0
    assert written.stdout == f"{folder / name}: written\n"
    assert (folder / name).read_bytes() == (CONFIG / name).read_bytes()


def test_missing_files_are_written_but_a_readme_without_markers_is_refused(folder):
    (folder / "schema.json").unlink()
    assert write_documents(folder) == [folder / "schema.json"]
    (folder / "README.md").write_text("nothing here")
    result = CliRunner().invoke(main, ["--folder", str(folder)])
    assert result.exit_code == 2
    assert "README.md: its settings table goes between the lines" in result.stderr


def test_the_words_around_the_table_are_kept(folder):
    readme = folder / "README.md"
    readme.write_text(f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n", encoding="utf-8")
    write_documents(folder)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"Before.\n{BEGIN}\n\n| setting | allowed |")
    assert text.endswith(f"{END}\nAfter.\n")
    assert "old" not in text.splitlines()


def test_it_runs_as_a_module():
    check = [sys.executable, "-m", "workflow_scripts.write_config_docs", "--check"]
    result = subprocess.run(check, cwd=CONFIG.parent, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
