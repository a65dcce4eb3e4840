"""Each kind trained for real on a few videos, and its folder read back by vidkd and by its own library."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.backbones.checkpoints import clips, settings_of
from tests.backbones.directly import open_clip_frames, tokens, vjepa2_tokens
from tests.engine.stops import signal_after
from vidkd.backbones.pretrain.method import NAMES, PROMPTS
from vidkd.backbones.pretrain.registry import NETWORKS, build_network
from vidkd.backbones.pretrain.train import decayed_groups, objective, train
from vidkd.backbones.registry import BACKBONES, load_backbone
from vidkd.config.checkpoints import CheckpointSettings
from vidkd.data.clips import Batch
from vidkd.data.demo_specs import MOTIONS
from vidkd.errors import UserError

# isort: split

import timm

SIZE = 32
SMALL = {"epochs": 1, "batch_size": 12, "size": SIZE, "layers": 1, "width": 32, "heads": 2, "frames": 4}
OF_KIND = {
    "clip": {"frames": 1, "crop": 1},
    "timm": {"frames": 1, "width": 25},
    "videomae": {},
    "timesformer": {"patch": 16},
    "vivit": {},
    "vjepa2": {"frames": 8, "crop": 0.875},
}
CLASSES = {
    "videomae": ("VideoMAEModel", "VideoMAEImageProcessor"),
    "timesformer": ("TimesformerModel", "VideoMAEImageProcessor"),
    "vivit": ("VivitModel", "VivitImageProcessor"),
}
LOOK = {"shape": "ring", "texture": "dots", "colour": "red"}


def settings(kind: str, **more: object) -> CheckpointSettings:
    return CheckpointSettings(kind=kind, **(SMALL | OF_KIND[kind] | more))


def run(source, folder: Path, chosen: CheckpointSettings, **more: object) -> Path:
    train(
        chosen,
        source.annotations,
        source.classes,
        source.train,
        source.val,
        folder,
        **({"stamp": "a"} | more),
    )
    return folder


def test_every_kind_can_be_trained():
    assert set(NETWORKS) == set(BACKBONES)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(source, tmp_path_factory):
    """A function from a kind to the folder of its finished training."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = run(source, tmp_path_factory.mktemp(kind), settings(kind))
        return made[kind]

    return make


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_folder_loads_as_one_of_the_hub(trained, kind):
    folder = trained(kind)
    wanted = settings(kind)
    backbone = load_backbone(settings_of(kind, folder / "network", frames=wanted.frames))
    spec = backbone.spec
    assert (spec.frames, spec.size, spec.steps) == (wanted.frames, SIZE, wanted.steps)
    assert build_network(wanted).backbone.spec == spec, "it is trained on what it is loaded with"
    assert spec.mean == pytest.approx((0.447,) * 3)
    assert spec.std == pytest.approx((0.235,) * 3)
    assert spec.crop == pytest.approx(wanted.crop, abs=0.02)
    assert backbone(clips(1, wanted.frames, SIZE)).std() > 0.01
    metrics = json.loads((folder / "metrics.json").read_text())
    looks = {"shape", "texture", "colour"}
    assert set(metrics["val_accuracy"]) == looks | (set() if kind in ("clip", "timm") else {"motion"})
    assert metrics["parameters"] == sum(value.numel() for value in backbone.network.parameters())
    assert list(pd.read_csv(folder / "history.csv")["epoch"]) == [1]
    assert not (folder / ".state").exists()


@pytest.mark.parametrize("kind", NETWORKS)
def test_features_are_those_of_its_own_library(trained, kind):
    folder, chosen = trained(kind) / "network", settings(kind)
    clip = clips(2, chosen.frames, SIZE)
    found = load_backbone(settings_of(kind, folder, frames=chosen.frames))(clip)
    if kind in CLASSES:
        cls = 0 if kind == "videomae" else 1
        wanted = tokens(folder, *CLASSES[kind], with_short_side(folder, clip))[:, cls:]
        wanted = wanted.unflatten(1, (-1, chosen.steps)).transpose(1, 2) if kind == "timesformer" else wanted
        wanted = wanted.reshape(found.shape)
    else:
        wanted = BY_LIBRARY[kind](folder, clip).reshape(found.shape)
    torch.testing.assert_close(found, wanted, rtol=0, atol=3e-5)


def with_short_side(folder: Path, clip: torch.Tensor) -> torch.Tensor:
    """The clip in the middle of frames that the processor neither enlarges nor shrinks before it crops."""
    short = json.loads((folder / "preprocessor_config.json").read_text())["size"]["shortest_edge"]
    high = (short - SIZE) // 2
    low = short - SIZE - high
    return torch.nn.functional.pad(clip, (high, low, high, low))


def by_timm(folder: Path, clip: torch.Tensor) -> torch.Tensor:
    network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    assert type(network).__name__ == "ByobNet"
    config = timm.data.resolve_model_data_config(network)
    mean, std = (torch.tensor(config[name]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        return network((clip.flatten(0, 1) / 255 - mean) / std)


BY_LIBRARY = {"clip": open_clip_frames, "timm": by_timm, "vjepa2": vjepa2_tokens}


@pytest.mark.parametrize("kind", ["clip", "timm", "vjepa2"])
def test_two_runs_make_the_same_bytes(source, trained, tmp_path, kind):
    assert files(run(source, tmp_path / "again", settings(kind), workers=2)) == files(trained(kind))


@pytest.mark.parametrize(("kind", "stop_at"), [("clip", 2), ("timm", 4), ("videomae", 1)])
def test_a_stopped_run_goes_on_bit_for_bit(source, tmp_path, monkeypatch, kind, stop_at):
    chosen = settings(kind, epochs=2)  # of three steps each
    straight = files(run(source, tmp_path / "straight", chosen))
    steps = signal_after(monkeypatch, stop_at)
    with pytest.raises(SystemExit):
        run(source, tmp_path / "stopped", chosen)
    assert not (tmp_path / "stopped/network").exists()
    assert files(run(source, tmp_path / "stopped", chosen)) == straight
    assert len(steps) == 6  # none was done twice


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_loss_term_reaches_the_network_and_every_parameter_the_optimizer(kind):
    chosen = settings(kind)
    method = objective(chosen, build_network(chosen), [LOOK | {"motion": "appear"}] * 4, MOTIONS).train()
    batch = Batch({chosen.frames: clips(4, chosen.frames, SIZE)}, torch.zeros(4).long(), torch.arange(4))
    terms = method(batch, torch.Generator().manual_seed(0))
    expected = {"shape", "texture", "colour"}
    expected |= {"image_text", "text_image"} if kind == "clip" else set()
    expected |= {"motion"} if kind in (*CLASSES, "vjepa2") else set()
    assert set(terms) == expected
    parameters = [p for p in method.backbone.network.parameters() if p.requires_grad]
    for name, term in terms.items():
        gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        assert sum(float(g.norm()) for g in gradients if g is not None) > 0, name
    grouped = [p for group in decayed_groups(method, chosen) for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in method.parameters()}
    assert len(grouped) == len(list(method.parameters()))


def test_a_caption_tells_the_motion_of_the_clip_as_it_is_seen():
    """A clip whose label is that of the mirrored motion is a mirrored one."""
    chosen = settings("clip")
    names = ["move_left", "move_right"]
    method = objective(chosen, build_network(chosen), [LOOK | {"motion": "move_left"}] * 400, names)
    mirrored = torch.arange(400) % 2
    batch = Batch({1: clips(1, 1, SIZE)}, mirrored, torch.arange(400))
    captions = method.captions(batch, torch.Generator().manual_seed(0))
    assert any("move" in caption for caption in captions[::2])
    assert any("move" in caption for caption in captions[1::2])
    assert not any("move right" in caption for caption in captions[::2])
    assert not any("move left" in caption for caption in captions[1::2])


def test_zero_shot_scores_are_those_of_the_loaded_checkpoint(trained):
    """As a reader would compute them: normalised frames against the mean of normalised prompts."""
    from torch.nn.functional import normalize

    backbone = load_backbone(settings_of("clip", trained("clip") / "network", frames=1))
    chosen = settings("clip")
    method = objective(chosen, build_network(chosen), [], MOTIONS).eval()
    method.backbone.network.load_state_dict(backbone.network.state_dict())
    clip = clips(3, 1, SIZE)
    scores = method.scores(Batch({1: clip}, torch.zeros(3), torch.arange(3)))
    image_BD = normalize(backbone(clip).mean((1, 2)), dim=1)
    for name, position in (("red", 0), ("blue", 4)):
        prompts = normalize(backbone.encode_texts([prompt.format(name) for prompt in PROMPTS]), dim=1)
        wanted_B = image_BD @ normalize(prompts.mean(0), dim=0) * backbone.network.logit_scale.exp()
        torch.testing.assert_close(scores["colour"][:, position], wanted_B)
    assert [scores[label].shape[1] for label in ("shape", "texture", "colour")] == [
        len(NAMES[label]) for label in ("shape", "texture", "colour")
    ]


def test_the_predictor_of_vjepa2_stays_as_it_was_and_the_encoder_does_not(trained, tmp_path):
    chosen = settings("vjepa2")
    torch.manual_seed(chosen.seed)
    build_network(chosen).save(tmp_path)
    before, after = (load_file(f / "model.safetensors") for f in (tmp_path, trained("vjepa2") / "network"))
    for name, value in after.items():
        moved = not torch.equal(value, before[name])
        assert moved == name.startswith("encoder."), name


def test_what_cannot_be_trained_is_said(source, tmp_path):
    with pytest.raises(UserError, match=r"the library makes no timm of these settings: .*no_such_net"):
        run(source, tmp_path, settings("timm", architecture="no_such_net"))
    with pytest.raises(UserError, match=r"9 frames are asked of videos stored with 8"):
        run(source, tmp_path, settings("timesformer", frames=9))
    without = source._replace(annotations=source.annotations[1:])
    with pytest.raises(UserError, match=r"the annotation files do not name train/source_train_0000\d"):
        run(without, tmp_path, settings("videomae"))
    with pytest.raises(UserError, match="batch_size 64 is larger than the 36 training clips: lower it"):
        run(source, tmp_path, settings("videomae", batch_size=64))
    assert not (tmp_path / "network").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_a_full_disk_is_a_sentence(source, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2560k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"this machine mounts no tmpfs: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(UserError, match=r"cannot write .*run.*[Nn]o space left"):
            run(source, disk / "run", settings("timm"))
        assert not (disk / "run/network").exists()
    finally:
        subprocess.run(["umount", disk], check=True)
