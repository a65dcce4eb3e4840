"""Training heads from files, as the rule does, and by hand with the options of seed 003, in both modes."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from tests.engine.stops import check_goes_on_after
from tests.methods.converters.cached import options
from tests.methods.fusion.cached import SMALL, STUDENT, changed, run
from tests.methods.fusion.filmed import TEACHERS, Filmed
from tests.road import files
from vidkd.config.base import canonical
from workflow_scripts.train import main


def call(*arguments: object):
    return CliRunner().invoke(main, ["fusion", *map(str, arguments)])


def done(*arguments: object) -> None:
    result = call(*arguments)
    assert result.exit_code == 0, result.output


def refusal(*arguments: object) -> str:
    result = call(*arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    return result.output


def config_of(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


@pytest.fixture
def given(made) -> list[object]:
    """As the rule gives it."""
    named = [f"--class-names={made.classes}", f"--student={STUDENT}", "--run=small", "--use-cached-features"]
    return [*options(made.shards(SMALL)), *named, "--settings", canonical(SMALL)]


@pytest.fixture
def results(filmed: Filmed, tmp_path) -> Path:
    """Networks, frames, caches and converters where a configuration has them; and the configuration."""
    root = tmp_path / "results"
    shutil.copytree(filmed.root / "frames", root / "frames")
    shutil.copytree(filmed.root / "data", root / "data")
    for name in filmed.backbones:
        for split, (file,) in filmed.cached(name).items():
            place = root / f"features/{name}/{split}/shard_0.h5"
            place.parent.mkdir(parents=True)
            shutil.copy(file, place)
    for name, weights in filmed.converters.items():
        shutil.copytree(weights.parent, root / f"converters/resampler.{name}/seed0")
    configuration = {
        "results_dir": str(root),
        "data": {"n_shards": 1},
        "backbones": {name: {"kind": of.kind, "folder": of.folder} for name, of in filmed.backbones.items()},
        "converters": {"student": "vjepa2", "teachers": list(TEACHERS)},
        "fusion": {"base": {"epochs": 3, "batch_size": 6, "width": 16, "sweep": {"lr": [1e-2, 1e-3]}}},
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(configuration))
    return root


@pytest.fixture
def own(results) -> str:
    return f"--dataset={results.parent / 'own.yaml'}"


def test_the_command_of_the_rule_gives_the_run_and_says_where_it_is_from(made, given, tmp_path):
    done(*given, f"--run-dir={tmp_path / 'a'}")
    written = files(tmp_path / "a")
    assert set(written) == {"model.safetensors", "config.json", "history.csv"}
    assert written.items() <= files(run(made.inputs(), tmp_path / "b")).items()
    for name in written:
        record = json.loads((tmp_path / f"a/{name}.provenance.json").read_text())
        shards = made.shards(SMALL)
        read = {str(of[split][0].parent) for of in shards.values() for split in ("train", "val")}
        assert set(record["inputs"]) == {*read, str(made.classes)}
        assert (record["seed"], record["method"], record["run"]) == (0, "fusion", "small")


def test_converters_in_place_of_their_caches(made, given, tmp_path):
    done(*given, f"--run-dir={tmp_path / 'a'}")
    student = options({STUDENT: made.real[STUDENT]})
    weights = [f"--trained={name}={path}" for name, path in made.converters.items()]
    rest = given[len(options(made.shards(SMALL))) :]
    done(*student, *weights, *rest, f"--run-dir={tmp_path / 'b'}")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_what_is_given_wrongly_is_refused(made, given, tmp_path):
    assert "allowed: NAME=FILE" in refusal(*given, "--feature-stores=vjepa2")
    missing = [text for text in given if not str(text).startswith("--feature-stores=vivit.val")]
    said = refusal(*missing)
    assert "features of vivit of val are needed: give --feature-stores vivit.val=FOLDER" in said
    assert "--classes 5" in refusal(*given, "--classes=5")
    assert "has 3" in refusal(*given, "--classes=5")
    said = refusal(*given, "--frames=16")
    assert "--frames 16: the features of vjepa2 are of clips of 4 frames" in said
    assert "give --student and --feature-stores NAME.SPLIT=FOLDER" in refusal()
    swept = [*given[:-1], json.dumps({"sweep": {"student": [True]}})]
    assert "cannot be swept" in refusal(*swept)


def test_a_rate_alone_is_not_swept_and_a_batch_has_its_size(given, tmp_path):
    settings = SMALL.model_dump(mode="json", exclude={"sweep", "batch_size"})
    arguments = [*given[:-1], json.dumps(settings), "--classes=3", "--frames=4"]
    done(*arguments, "--lr=0.004", "--batch=12", f"--save-dir={tmp_path / 'a'}")
    config = config_of(tmp_path / "a")
    assert (config["settings"]["lr"], config["settings"]["batch_size"]) == (0.004, 12)
    assert len(config["trials"]) == 1


def test_video_mode_and_cached_features_give_the_same_run(own, results, tmp_path):
    shared = [own, "--split=train", "--student=vjepa2", f"--teachers={','.join(TEACHERS)}", "--classes=3"]
    shared += [
        "--frames=8",
        "--batch=6",
        "--epochs=2",
        "--lr=0.01",
        "--converters",
        results / "converters/resampler",
    ]
    done(*shared, f"--save-dir={tmp_path / 'video'}")
    done(*shared, f"--save-dir={tmp_path / 'cached'}", "--use-cached-features")
    assert files(tmp_path / "video") == files(tmp_path / "cached")
    config = config_of(tmp_path / "video")
    assert list(config["sources"]) == ["vjepa2", *TEACHERS]
    assert len(pd.read_csv(tmp_path / "video/history.csv")) == 2


def test_the_configuration_says_what_is_not_given(own, results, tmp_path):
    done(own, "--use-cached-features", f"--save-dir={tmp_path / 'a'}")
    config = config_of(tmp_path / "a")
    assert (config["settings"]["epochs"], config["settings"]["width"]) == (3, 16)
    assert [trial["values"] for trial in config["trials"]] == [{"lr": 0.01}, {"lr": 0.001}]
    assert [of["kind"] for of in config["sources"].values()] == ["student", "converted", "converted"]


def test_real_teachers_run_too(own, results, tmp_path):
    shared = [own, "--features=real", "--teachers=videomae", "--epochs=1", "--lr=0.01"]
    done(*shared, f"--save-dir={tmp_path / 'video'}")
    done(*shared, f"--save-dir={tmp_path / 'cached'}", "--use-cached-features")
    assert files(tmp_path / "video") == files(tmp_path / "cached")
    assert config_of(tmp_path / "video")["sources"]["videomae"]["kind"] == "real"


def test_converters_by_file_and_caches_of_them_beside(own, results, filmed, tmp_path):
    shared = [own, "--use-cached-features", "--teachers=videomae", "--epochs=1", "--lr=0.01"]
    weights = results / "converters/resampler.videomae/seed0/model.safetensors"
    done(*shared, f"--converters={weights}", f"--save-dir={tmp_path / 'now'}")
    for split, (file,) in filmed.converted("videomae").items():
        place = weights.parent / f"features/{split}/shard_0.h5"
        place.parent.mkdir(parents=True)
        shutil.copy(file, place)
    done(*shared, f"--converters={weights}", f"--save-dir={tmp_path / 'cached'}")
    assert files(tmp_path / "now") == files(tmp_path / "cached")
    said = json.loads((tmp_path / "cached/config.json.provenance.json").read_text())["inputs"]
    assert str(weights.parent / "features/val/shard_0.h5") in said


def test_converters_are_trained_on_in_both_modes(own, results, tmp_path):
    shared = [own, "--finetune-converters", "--teachers=videomae", "--epochs=1", "--lr=0.01"]
    done(*shared, f"--save-dir={tmp_path / 'video'}")
    done(*shared, f"--save-dir={tmp_path / 'cached'}", "--use-cached-features")
    assert files(tmp_path / "video") == files(tmp_path / "cached")


def test_another_place_of_results(own, results, tmp_path):
    shutil.move(results, tmp_path / "moved")
    assert "vjepa2/train/shard_0.h5 does not exist: name another file, or run" in refusal(
        own, "--use-cached-features", "--converters", tmp_path / "moved/converters/resampler"
    )
    done(
        own,
        f"--root={tmp_path / 'moved'}",
        "--use-cached-features",
        "--epochs=1",
        f"--save-dir={tmp_path / 'a'}",
    )


def test_what_by_hand_is_refused(own, results):
    assert "did you mean demo?" in refusal("--dataset=dmo")
    assert "did you mean videomae?" in refusal(own, "--teachers=vidomae")
    assert "has no backbone 'slowfast'" in refusal(own, "--student=slowfast")
    assert "--split val: heads are trained on train" in refusal(own, "--split=val")
    assert "leave --feature-stores, --trained out" in refusal(own, "--feature-stores=vjepa2.train=x.h5")
    said = refusal(own, "--converters=/nowhere/linear")
    assert "there is no converter to videomae: /nowhere/linear.videomae/seed0/model.safetensors" in said
    assert "does not exist" in refusal(own, "--seed=3")
    assert "--frames 4" in refusal(own, "--frames=4")


def test_a_data_set_without_a_student(tmp_path):
    (tmp_path / "own.yaml").write_text("backbones: {}\n")
    assert "has no converters.student: give --student" in refusal(f"--dataset={tmp_path / 'own.yaml'}")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_process_and_the_same_command_end_in_the_same_bytes(made, tmp_path, number):
    settings = changed(epochs=30)
    shards = options(made.shards(settings))

    def command(folder: Path) -> list[str]:
        return [
            sys.executable, "-m", "workflow_scripts.train", "fusion", *shards,
            f"--class-names={made.classes}",
            f"--student={STUDENT}", f"--run-dir={folder}", "--settings", canonical(settings),
        ]  # fmt: skip

    # The first trial had finished.
    check_goes_on_after(number, command, tmp_path, ".state/trial1/state.pt", "going on from epoch 31")
