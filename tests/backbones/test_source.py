"""Where checkpoints come from, and every way in which their files can be wrong, for every kind."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.backbones.checkpoints import clips, edit_json, settings_of
from vidkd.backbones.registry import load_backbone
from vidkd.config.backbones import BackboneSettings
from vidkd.errors import UserError

REVISION = "0123456789abcdef0123456789abcdef01234567"
CONFIGS = {"clip": "open_clip_config.json"}
PREPROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json")
HTML = b"<!doctype html><html><body>Access to this model is restricted</body></html>"


@pytest.fixture
def folder(kind, copied) -> Path:
    return copied(kind)


def weights_file(folder: Path) -> Path:
    (file,) = folder.glob("*.safetensors")
    return file


def body(kind: str, folder: Path) -> str:
    """A small tensor of the network itself: the last layer's norm or bias."""
    names = {
        "clip": "visual.ln_post.bias",
        "timm": "stem.bn.bias",
        "videomae": "videomae.encoder.layer.1.layernorm_after.bias",
        "timesformer": "timesformer.layernorm.bias",
        "vivit": "vivit.layernorm.bias",
        "vjepa2": "encoder.layernorm.bias",
    }
    assert names[kind] in load_file(weights_file(folder))
    return names[kind]


def refused(kind: str, folder: Path, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_backbone(settings_of(kind, folder))


# ---- damage


DAMAGE = {
    "missing": (lambda weights, name: weights.pop(name), r"fits only 9\d\.\d\d% .*{part}\.bias\)"),
    "renamed": (
        lambda weights, name: weights.update({"lost.bias": weights.pop(name)}),
        r"fits only 9\d\.\d\d% .*It has what this network has not: lost\.bias\.",
    ),
    "of another shape": (
        lambda weights, name: weights.update({name: torch.zeros(3)}),
        r"fits only 9\d\.\d\d% .*{part}\.bias\)",
    ),
    "too many": (
        lambda weights, name: weights.update({"adapter.weight": torch.zeros(3)}),
        r"would not be loaded whole. It has what this network has not: adapter\.weight\.",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_tensor_that_is_wrong(kind, folder, damage):
    (change, words), name = DAMAGE[damage], body(kind, folder)
    file = weights_file(folder)
    weights = load_file(file)
    change(weights, name)
    save_file(weights, file, metadata={"format": "pt"})
    refused(kind, folder, words.replace("{part}", name.split(".")[-2]))


@pytest.mark.parametrize("keep", [0.4, 0.99])
def test_a_truncated_file(kind, folder, keep):
    file = weights_file(folder)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content))])
    refused(kind, folder, rf"{file.name} is not a safetensors file")


def test_a_web_page(kind, folder):
    weights_file(folder).write_bytes(HTML)
    refused(kind, folder, r"safetensors cannot be read: it is a web page")


def test_no_weights(kind, folder):
    weights_file(folder).unlink()
    refused(kind, folder, r"it holds no weights; looked for .*Place one of these into")


def test_no_folder(kind, tmp_path):
    refused(kind, tmp_path / "nowhere", "nowhere: no such folder. Place the model's files there")


@pytest.mark.parametrize("content", [None, "<html>", "[1]"])
def test_no_configuration(kind, folder, content):
    config = folder / CONFIGS.get(kind, "config.json")
    config.unlink() if content is None else config.write_text(content)
    refused(kind, folder, rf"{config.name} is (missing|not JSON|not a JSON object)")


# ---- preprocessing of the networks of transformers


@pytest.fixture(params=["videomae", "timesformer", "vivit", "vjepa2"])
def video_kind(request):
    return request.param


@pytest.fixture
def preprocessor(video_kind, copied) -> Path:
    folder = copied(video_kind)
    (file,) = [folder / name for name in PREPROCESSORS if (folder / name).is_file()]
    return file


def test_missing_preprocessing(video_kind, preprocessor):
    preprocessor.unlink()
    refused(video_kind, preprocessor.parent, r"preprocessor_config.json is missing: without it the network")


@pytest.mark.parametrize("name", ["image_mean", "image_std", "size"])
def test_incomplete_preprocessing(video_kind, preprocessor, name):
    content = json.loads(preprocessor.read_text())
    del content[name]
    preprocessor.write_text(json.dumps(content))
    refused(video_kind, preprocessor.parent, f"its preprocessing does not say {name}")


def test_preprocessing_of_another_size(video_kind, preprocessor):
    content = json.loads(preprocessor.read_text()) | {"crop_size": {"height": 48, "width": 48}}
    preprocessor.write_text(json.dumps(content))
    refused(video_kind, preprocessor.parent, "its preprocessing gives 48 pixels, its network takes 32")


@pytest.mark.parametrize("layout", ["numbers", "nested", "no_crop"])
def test_preprocessing_as_older_and_newer_releases_write_it(video_kind, preprocessor, layout):
    folder = preprocessor.parent
    spec = load_backbone(settings_of(video_kind, folder)).spec
    content = json.loads(preprocessor.read_text())
    if layout == "numbers":
        content |= {"size": content["size"]["shortest_edge"], "crop_size": 32}
    elif layout == "no_crop":
        content |= {"size": {"height": 32, "width": 32}, "do_center_crop": False}
    preprocessor.write_text(json.dumps(content))
    if layout == "nested":
        preprocessor.unlink()
        (folder / "processor_config.json").write_text(json.dumps({"video_processor": content}))
    found = load_backbone(settings_of(video_kind, folder)).spec
    assert (found.size, found.mean, found.std) == (spec.size, spec.mean, spec.std)
    assert found.crop == (1.0 if layout == "no_crop" else spec.crop)


def test_a_configuration_that_transformers_refuses(video_kind, preprocessor):
    config = preprocessor.parent / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"hidden_size": "wide"}))
    refused(video_kind, preprocessor.parent, r"transformers 5\S+ makes no network of config.json")


# ---- sources


def test_weights_in_several_files(video_kind, made, tmp_path):
    """Their sum is that of a list of name and sum, and a missing part is named."""
    folder, network = made(video_kind)
    shutil.copytree(folder, tmp_path / "split")
    (tmp_path / "split/model.safetensors").unlink()
    network.save_pretrained(tmp_path / "split", max_shard_size="100KB")
    parts = sorted((tmp_path / "split").glob("model-*.safetensors"))
    assert len(parts) > 1
    whole, split = (load_backbone(settings_of(video_kind, path)) for path in (folder, tmp_path / "split"))
    clip = clips(1, whole.spec.frames)
    assert torch.equal(split(clip), whole(clip))
    text = "".join(f"{hashlib.sha256(part.read_bytes()).hexdigest()}  {part.name}\n" for part in parts)
    assert split.weights_sha256 == hashlib.sha256(text.encode()).hexdigest()
    parts[0].unlink()
    refused(video_kind, tmp_path / "split", f"{parts[0].name} does not exist. Place it there.")
    (tmp_path / "split/model.safetensors.index.json").write_text("{}")
    refused(video_kind, tmp_path / "split", r"model\.safetensors\.index\.json is no index of weights")


def test_a_file_with_its_configuration_beside_it(kind, made):
    folder = made(kind).folder
    file = weights_file(folder)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    named = load_backbone(BackboneSettings(kind=kind, file=str(file), sha256=sha256))
    clip = clips(1, named.spec.frames)
    assert torch.equal(named(clip), load_backbone(settings_of(kind, folder))(clip))


def test_quantised_weights_are_refused(copied):
    folder = copied("videomae")
    tensors = load_file(folder / "model.safetensors")
    save_file({name: value.to(torch.int8) for name, value in tensors.items()}, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"is torch.int8: quantised weights mean nothing without"):
        load_backbone(settings_of("videomae", folder))


def test_a_tensor_in_two_files_is_refused(copied):
    folder = copied("videomae")
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    shutil.copy(folder / "a.safetensors", folder / "b.safetensors")
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="is in two of its files"):
        load_backbone(settings_of("videomae", folder))
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(UserError, match="is no index of weights"):
        load_backbone(settings_of("videomae", folder))


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("preprocessor_config.json", {"image_std": [0.2, 0.3]}),
        ("preprocessor_config.json", {"image_std": [0.2, 0.3, 0]}),
        ("preprocessor_config.json", {"image_mean": "grey"}),
        ("preprocessor_config.json", {"rescale_factor": 0}),
        ("preprocessor_config.json", {"size": [48, 48]}),
        ("config.json", {"num_attention_heads": 3}),
        ("config.json", {"hidden_act": "nope"}),
        ("config.json", {"patch_size": 0}),
        ("config.json", {"dtype": "float99"}),
    ],
)
def test_values_that_no_network_can_have_are_one_sentence(copied, file, change):
    folder = copied("videomae")
    edit_json(folder / file, **change)
    with pytest.raises(UserError, match=r"backbone videomae, .*network"):
        load_backbone(settings_of("videomae", folder))


@pytest.fixture
def snapshot(tmp_path, monkeypatch) -> Path:
    """Where the hub's cache, for this test, has someone/small at the revision."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / f"hub/models--someone--small/snapshots/{REVISION}"


def test_the_hub_at_a_revision(kind, made, snapshot):
    """What download_weights leaves in the hub's cache; this machine's network is not even asked."""
    folder = shutil.copytree(made(kind).folder, snapshot)
    backbone = load_backbone(BackboneSettings(kind=kind, hub="someone/small", revision=REVISION))
    clip = clips(1, backbone.spec.frames)
    assert torch.equal(backbone(clip), load_backbone(settings_of(kind, folder))(clip))
    assert backbone.origin.folder == snapshot


def test_the_hub_at_a_revision_in_the_older_format(made, snapshot):
    """Only pytorch_model.bin is there, as in repositories of before 2023."""
    shutil.copytree(made("timesformer").folder, snapshot)
    torch.save(load_file(snapshot / "model.safetensors"), snapshot / "pytorch_model.bin")
    (snapshot / "model.safetensors").unlink()
    settings = BackboneSettings(kind="timesformer", hub="someone/small", revision=REVISION)
    clip = clips(1, 4)
    wanted = load_backbone(settings_of("timesformer", made("timesformer").folder))(clip)
    assert torch.equal(load_backbone(settings)(clip), wanted)


def test_the_hub_without_a_download(snapshot):
    """That this machine's network is not even asked is seen in `test_a_node_without_network`."""
    settings = BackboneSettings(kind="videomae", hub="someone/small", revision=REVISION)
    with pytest.raises(UserError) as caught:
        load_backbone(settings)
    said = str(caught.value)
    assert f"backbone videomae, someone/small at {REVISION}: not on this machine" in said
    assert "Run snakemake download_weights where there is network, or place its files into a folder" in said
