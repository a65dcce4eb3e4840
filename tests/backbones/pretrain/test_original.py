"""A VideoMAE that is trained here and saved in the layout of AMD's files, read back like one of these."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.backbones import originals
from tests.backbones.checkpoints import clips, scramble, settings_of
from tests.backbones.pretrain.test_train import SIZE, files, run, settings
from vidkd.backbones.pretrain.registry import build_network
from vidkd.backbones.registry import load_backbone
from vidkd.engine.weights import read_file
from vidkd.errors import UserError

WEIGHTS = "pytorch_model.bin"
ORIGINAL = settings("videomae", layout="original", layers=2)


@pytest.fixture(scope="module")
def trained(source, tmp_path_factory) -> Path:
    return run(source, tmp_path_factory.mktemp("original"), ORIGINAL) / "network"


@pytest.fixture
def scrambled(tmp_path) -> tuple[Tensor, Path]:
    """Features of a clip by a network as it is trained, and the folder that it was saved into."""
    backbone, save, norm = build_network(ORIGINAL)
    scramble(backbone.network)
    scramble(norm)
    save(tmp_path / "network")
    return backbone(clip()), tmp_path / "network"


def clip() -> Tensor:
    return clips(2, ORIGINAL.frames, SIZE)


def loaded(folder: Path) -> Tensor:
    return load_backbone(settings_of("videomae", folder))(clip())


def saved(folder: Path) -> dict[str, Tensor]:
    return torch.load(folder / WEIGHTS, weights_only=True)["module"]


def test_it_is_laid_out_as_amds_fine_tuned_files(trained):
    state, wanted = saved(trained), originals.finetuned(384, ORIGINAL.layers)
    assert set(wanted) - set(state) == {"head.weight", "head.bias"}
    assert set(state) <= set(wanted)
    assert state["blocks.1.attn.qkv.weight"].shape == (3 * ORIGINAL.width, ORIGINAL.width)
    assert state["fc_norm.weight"].ne(1).all(), "it was not trained"
    assert not any(value.requires_grad or value.is_quantized for value in state.values())
    assert {path.name for path in trained.iterdir()} == {WEIGHTS, "config.json", "preprocessor_config.json"}


def test_it_is_loaded_as_it_was_trained(trained):
    backbone = load_backbone(settings_of("videomae", trained))
    assert backbone.spec == build_network(ORIGINAL).backbone.spec
    assert len(backbone.origin.files) == 3
    metrics = json.loads((trained.parent / "metrics.json").read_text())
    assert metrics["parameters"] == sum(value.numel() for value in backbone.network.parameters())


def test_it_computes_what_the_original_code_does(trained):
    state = read_file(trained / WEIGHTS)
    wanted_BND = originals.run(state, ORIGINAL.heads, (clip() / 255 - 0.447) / 0.235)
    torch.testing.assert_close(loaded(trained).flatten(1, 2), wanted_BND, rtol=0, atol=1e-5)


def test_features_survive_and_every_block_matters(scrambled):
    wanted, folder = scrambled
    torch.testing.assert_close(loaded(folder), wanted, rtol=0, atol=1e-5)
    state = saved(folder)
    for part in ("blocks.1.attn.qkv.weight", "blocks.0.attn.v_bias"):
        other = state | {part: torch.rand_like(state[part])}
        torch.save({"module": other}, folder / WEIGHTS)
        assert (loaded(folder) - wanted).abs().max() > 0.01, part


def test_classifiers_see_the_norm_of_the_mean():
    """As a head in an AMD file does."""
    from vidkd.backbones.pretrain.train import objective
    from vidkd.data.clips import Batch
    from vidkd.data.demo_specs import MOTIONS

    trainable = build_network(ORIGINAL)
    scramble(trainable.backbone.network)
    scramble(trainable.norm)
    method = objective(ORIGINAL, trainable, [], MOTIONS).eval()
    token_BND = trainable.backbone(clip()).flatten(1, 2)
    norm = {f"fc_norm.{name}": value for name, value in trainable.norm.state_dict().items()}
    wanted_BD = originals.norm(token_BND.mean(1), norm, "fc_norm")
    batch = Batch({ORIGINAL.frames: clip()}, torch.zeros(2), torch.arange(2))
    with torch.no_grad():
        found = method.scores(batch)["motion"]
        torch.testing.assert_close(found, method.heads["motion"](wanted_BD), rtol=0, atol=1e-5)


def test_two_runs_make_the_same_bytes(source, trained, tmp_path):
    again = run(source, tmp_path / "again", ORIGINAL, workers=2)
    assert files(again) == files(trained.parent)
    other = run(source, tmp_path / "other", ORIGINAL.model_copy(update={"seed": 1}))
    assert (other / "network" / WEIGHTS).read_bytes() != (trained / WEIGHTS).read_bytes()


def test_a_truncated_file_is_refused(scrambled):
    _, folder = scrambled
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:-1000])
    with pytest.raises(UserError, match=rf"{WEIGHTS} cannot be read as plain weights .*Fetch it again"):
        loaded(folder)


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("config.json", rf"no published network is 32 wide.*set folder to one that holds .*{WEIGHTS}"),
        (
            "preprocessor_config.json",
            r"preprocessor_config\.json is missing: without it the network sees other",
        ),
    ],
)
def test_without_what_lies_beside_it_it_is_refused(scrambled, missing, sentence):
    _, folder = scrambled
    (folder / missing).unlink()
    with pytest.raises(UserError, match=sentence):
        loaded(folder)
