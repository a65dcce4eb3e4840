from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from pydantic import Field

from vidkd.config.base import Section, canonical
from vidkd.config.data import FrameSettings
from vidkd.config.options import command, settings_options
from vidkd.errors import UserError
from vidkd.methods.ffn.settings import FFNExperiment, FFNSettings


@command
@settings_options(FFNSettings, exclude=("weights",))
@click.option("--weights", default="out.safetensors", help="Where the weights go.")
@click.option("--fail", is_flag=True)
@click.option("--invalid", is_flag=True)
def train(settings: FFNSettings, weights: str, fail: bool, invalid: bool) -> None:
    """Train one network."""
    if fail:
        raise UserError("manifest.csv has no row: run list_videos")
    if invalid:
        FFNSettings.model_validate({"lr": -1})
    click.echo(json.dumps([json.loads(canonical(settings)), weights]))


@command
@settings_options(FFNExperiment)
def experiment(settings: FFNExperiment) -> None:
    """Show an experiment."""
    click.echo(canonical(settings))


def run(cli, *arguments: str) -> dict:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(cli, *arguments: str) -> str:
    """What a command that stops with status 2 says on stderr."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert isinstance(result.exception, SystemExit)
    return result.stderr.strip()


def test_without_options_it_has_the_defaults():
    settings, weights = run(train)
    assert settings == json.loads(canonical(FFNSettings()))
    assert weights == "out.safetensors"


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--lr", "5e-5"], "lr", 5e-5),
        (["--epochs", "7"], "epochs", 7),
        (["--no-sharing"], "sharing", False),
        (["--sharing"], "sharing", True),
        (["--frame-counts", "4,8"], "frame_counts", [4, 8]),
        (["--frame-counts", "4", "--frame-counts", "8"], "frame_counts", [4, 8]),
        (["--mean", "0, 0, 1"], "mean", [0, 0, 1]),
        (["--patience", "3"], "patience", 3),
        (["--patience", "none"], "patience", None),
        (["--init-from", "tsm"], "init_from", "tsm"),
        (["--init-from", "none"], "init_from", None),
        (["--precision", "no"], "precision", "no"),
        (["--flip-labels", '{"left": "right"}'], "flip_labels", {"left": "right"}),
        (["--warmup-epochs", "0"], "warmup_epochs", 0),
        (["--settings", '{"weights": "a.pth"}'], "weights", "a.pth"),
    ],
)
def test_an_option_sets_its_setting_and_no_other(arguments, name, value):
    settings, _ = run(train, *arguments)
    assert settings == {**json.loads(canonical(FFNSettings())), name: value}


def test_an_option_wins_over_settings_and_those_over_the_default():
    given = json.dumps({"lr": 3, "epochs": 9, "patience": 5, "sharing": False})
    settings, _ = run(train, "--lr", "2", "--settings", given, "--patience", "none", "--sharing")
    assert (settings["lr"], settings["epochs"], settings["patience"]) == (2, 9, None)
    assert settings["sharing"] is True
    assert settings["batch_size"] == 8


def test_the_canonical_text_of_a_section_is_taken_back_unchanged():
    settings = FFNSettings(lr=0.3, frame_counts=(2, 5))
    assert run(train, "--settings", canonical(settings))[0] == json.loads(canonical(settings))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lr", "-1"], 'Error: --lr: found "-1"; allowed: number, above 0'),
        (["--epochs", "many"], 'Error: --epochs: found "many"; allowed: whole number, at least 1'),
        (["--frame-counts", "4,x"], 'Error: --frame-counts: found "x"; allowed: whole number'),
        (["--flip-labels", "3"], "Error: --flip-labels: found 3; allowed: a JSON object such as {}"),
        (["--settings", '{"lrr": 1}'], "Error: settings: lrr: no such setting; did you mean lr?"),
        (["--settings", '{"lr": -1}'], "Error: settings: lr: found -1; allowed: number, above 0"),
        (["--settings", "[]"], "Error: --settings: found []; allowed: a JSON object such as {}"),
        (
            ["--frame-counts", "8,4"],
            "Error: settings: frame_counts must be positive, ascending and distinct, such as [4, 8, 16]",
        ),
        (["--fail"], "Error: manifest.csv has no row: run list_videos"),
        (["--invalid"], "Error: wrong FFNSettings:\nlr: Input should be greater than 0"),
    ],
)
def test_what_is_wrong_is_said_and_ends_with_status_2(arguments, message):
    assert refused(train, *arguments) == message


def test_clicks_own_refusals_name_the_option():
    assert "'--precision': 'int8' is not one of 'no', 'bf16', 'fp16'" in refused(train, "--precision", "int8")
    assert "No such option '--lrr'" in refused(train, "--lrr", "1")
    assert refused(train, "--settings", "{").startswith("Error: --settings: not valid JSON: ")


def test_several_problems_are_several_lines():
    assert refused(train, "--lr", "0", "--epochs", "0").count("allowed") == 2


def test_help_has_each_setting_with_meaning_and_default():
    text = " ".join(CliRunner().invoke(train, ["--help"]).output.split())
    assert "Train one network." in text
    assert "--lr VALUE Peak learning rate. [number, above 0; default: 0.01]" in text
    assert "--sharing / --no-sharing" in text
    assert "--precision [no|bf16|fp16]" in text
    assert "[list of whole numbers, not empty; default: [4,8,16]]" in text
    assert "Where the weights go. [default: out.safetensors]" in text
    for name, field in FFNSettings.model_fields.items():
        assert f"--{name.replace('_', '-')} " in text
        assert name == "weights" or " ".join((field.description or "").split()) in text


def test_a_nested_section_is_flattened():
    settings = run(experiment, "--base-lr", "0.5", "--tfd-report-counts", "4,16", "--predict-max-count", "20")
    assert settings["base"]["lr"] == 0.5
    assert settings["base"]["epochs"] == 50
    assert settings["tfd"]["report_counts"] == [4, 16]
    assert settings["predict"]["max_count"] == 20
    assert refused(experiment, "--base-lr", "0") == 'Error: --base-lr: found "0"; allowed: number, above 0'
    assert refused(experiment, "--variants", '{"tsm": {"lr": 0}}') == (
        "Error: --variants: tsm.lr: found 0; allowed: number, above 0"
    )
    assert refused(experiment, "--settings", '{"base": 3}', "--base-lr", "1").startswith(
        "Error: --settings: base: found 3"
    )


def test_an_option_of_the_same_name_is_refused_when_the_command_is_made():
    with pytest.raises(ValueError, match="--weights is an option of the command too"):

        @settings_options(FFNSettings)
        @click.option("--weights")
        def clash(settings, weights): ...


def test_an_empty_list_or_text_can_be_given():
    class Some(Section):
        steps: tuple[int, ...] = Field((1,), description="Steps.")
        name: str = Field("x", description="Name.")

    @command
    @settings_options(Some)
    def show(settings: Some) -> None:
        click.echo(canonical(settings))

    assert run(show, "--steps", "", "--name", "") == {"name": "", "steps": []}


def test_a_process_ends_with_status_2_and_no_traceback(tmp_path):
    script = tmp_path / "frames.py"
    script.write_text(
        "from vidkd.config.options import command, settings_options\n"
        "from vidkd.config.data import FrameSettings\n"
        "from vidkd.config.base import canonical\n"
        "@command\n"
        "@settings_options(FrameSettings)\n"
        "def main(settings):\n"
        "    print(canonical(settings))\n"
        "main()\n"
    )
    good = subprocess.run(
        [sys.executable, script, "--encoding", "raw"], capture_output=True, text=True, check=True
    )
    assert good.stdout.strip() == canonical(FrameSettings(encoding="raw"))
    bad = subprocess.run(
        [sys.executable, script, "--short-side", "3"], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 2
    assert bad.stderr == 'Error: --short-side: found "3"; allowed: whole number, at least 16\n'
