"""Weights of others: what is in them is numbers, or a sentence; code in them or beside them never runs."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy._core.multiarray import _reconstruct
from numpy._core.numeric import _frombuffer

from tests.backbones.checkpoints import edit_json, settings_of
from tests.engine.touch import Touch
from vidkd.artefacts import file_sha256
from vidkd.backbones.registry import load_backbone
from vidkd.backbones.source import WEIGHTS
from vidkd.config.backbones import BackboneSettings
from vidkd.engine.weights import read_file, read_weights
from vidkd.errors import UserError
from vidkd.features.pickle_import import read_pickle
from vidkd.methods.ffn.model import build_model
from vidkd.methods.ffn.settings import FFNSettings
from vidkd.methods.ffn.start import load_network, start_from
from vidkd.methods.probes.predict import load_probe
from vidkd.methods.student.encoder import EncoderSpec, build_encoder
from vidkd.methods.trimodel.model import student_of
from vidkd.methods.trimodel.notebook.models import located

# ---- formats


def zipped(path: Path, evil: Touch) -> None:
    torch.save({"weight": torch.zeros(2), "evil": evil}, path)


def in_one_stream(path: Path, evil: Touch) -> None:
    torch.save({"weight": torch.zeros(2), "evil": evil}, path, _use_new_zipfile_serialization=False)


def plain(path: Path, evil: Touch) -> None:
    path.write_bytes(pickle.dumps(evil, protocol=2))


def in_a_tar(path: Path, evil: Touch) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(evil, protocol=2)
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))


FORMATS = (zipped, in_one_stream, plain, in_a_tar)


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.ckpt", "w.tar", "w.safetensors"])
def test_no_format_under_any_name_runs(tmp_path, mark, write, name):
    write(tmp_path / name, Touch(mark))
    with pytest.raises(UserError, match=r"cannot be read as plain weights|is not a safetensors") as caught:
        read_file(tmp_path / name)
    assert "weights_only" not in str(caught.value), "torch's advice to run it"


# ---- whoever opens such a file


def evil_file(folder: Path, mark: Path, name: str = "evil.pth") -> Path:
    folder.mkdir(exist_ok=True)
    zipped(folder / name, Touch(mark))
    return folder / name


def by_name(folder: Path, mark: Path) -> None:
    read_weights(str(evil_file(folder, mark)))


def start_of_a_training(folder: Path, mark: Path) -> None:
    settings = FFNSettings(arch="resnet_tiny", weights=str(evil_file(folder, mark)))
    start_from(build_model(settings, 2), settings, None)


def from_another_variant(folder: Path, mark: Path) -> None:
    settings = FFNSettings(arch="resnet_tiny")
    start_from(build_model(settings, 2), settings, evil_file(folder, mark))


def trained_network(folder: Path, mark: Path) -> None:
    file = evil_file(folder, mark)
    settings = FFNSettings(arch="resnet_tiny").model_dump(mode="json")
    file.with_name("config.json").write_text(json.dumps({"settings": settings, "classes": ["a", "b"]}))
    load_network(file)


def probe(folder: Path, mark: Path) -> None:
    file = evil_file(folder, mark)
    file.with_name("config.json").write_text("{}")
    load_probe(file)


def original_checkpoint(folder: Path, mark: Path) -> None:
    file = evil_file(folder, mark)
    load_backbone(BackboneSettings(kind="videomae", file=str(file), sha256=file_sha256(file)))


def notebook(folder: Path, mark: Path) -> None:
    load_backbone(located(str(evil_file(folder, mark)), "teacher", 16))


def torchvision_cache(folder: Path, mark: Path) -> None:
    """The file that torch keeps under the name that torchvision looks for."""
    before = torch.hub.get_dir()
    evil_file(folder, mark)
    (folder / "checkpoints").mkdir()
    (folder / "evil.pth").rename(folder / "checkpoints/resnet18-f37072fd.pth")
    torch.hub.set_dir(folder)
    try:
        read_weights("ResNet18_Weights.IMAGENET1K_V1")
    finally:
        torch.hub.set_dir(before)


OPENERS = (
    by_name, start_of_a_training, from_another_variant, trained_network, probe, original_checkpoint, notebook,
    torchvision_cache,
)  # fmt: skip


@pytest.mark.parametrize("opener", OPENERS)
def test_code_in_a_checkpoint_does_not_run(tmp_path, mark, opener):
    with pytest.raises(UserError, match="cannot be read as plain weights"):
        opener(tmp_path / "theirs", mark)


@pytest.mark.parametrize("parts", ["one file", "several"])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_code_in_the_older_format_of_a_network_does_not_run(kind, parts, made, tmp_path, mark):
    folder = Path(shutil.copytree(made(kind).folder, tmp_path / "theirs"))
    next(folder.glob("*.safetensors")).unlink()
    name = WEIGHTS[kind][1]
    zipped(folder / (name if parts == "one file" else "part.bin"), Touch(mark))
    if parts == "several":
        (folder / f"{name}.index.json").write_text(json.dumps({"weight_map": {"x": "part.bin"}}))
    with pytest.raises(UserError, match="cannot be read as plain weights"):
        load_backbone(settings_of(kind, folder))


@pytest.mark.parametrize("part", ["../evil.bin", "{}/evil.bin", "inner/evil.bin"])
def test_an_index_names_no_file_of_another_folder(made, tmp_path, part):
    folder = Path(shutil.copytree(made("videomae").folder, tmp_path / "theirs"))
    (folder / "model.safetensors").rename(tmp_path / "evil.bin")
    index = json.dumps({"weight_map": {"x": part.format(tmp_path)}})
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(UserError, match=r"index\.json names .*, and weights lie beside it"):
        load_backbone(settings_of("videomae", folder))


# ---- code beside weights


EVIL = """from pathlib import Path
Path({!r}).mkdir()
from transformers import PretrainedConfig, PreTrainedTokenizer
class C(PretrainedConfig): model_type = "evil"
class T(PreTrainedTokenizer): pass
"""
OWN_CODE = {"AutoConfig": "evil.C", "AutoModel": "evil.C", "AutoTokenizer": ["evil.T", None]}


def with_code(made, kind: str, folder: Path, mark: Path) -> Path:
    """A checkpoint with Python beside it, which its configuration names."""
    shutil.copytree(made(kind).folder, folder)
    (folder / "evil.py").write_text(EVIL.format(str(mark)))
    config = folder / ("open_clip_config.json" if kind == "clip" else "config.json")
    edit_json(config, auto_map=OWN_CODE, trust_remote_code=True)
    return folder


@pytest.mark.parametrize("kind", WEIGHTS)
def test_python_in_the_folder_of_a_network_does_not_run(kind, made, tmp_path, mark):
    assert load_backbone(settings_of(kind, with_code(made, kind, tmp_path / "theirs", mark)))


@pytest.mark.parametrize("options", [{"trust_remote_code": True}, {}])
def test_a_tokenizer_does_not_run(made, tmp_path, mark, options, monkeypatch):
    """open_clip hands on the checkpoint's own `trust_remote_code`; without it, transformers asks a person."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    folder = with_code(made, "clip", tmp_path / "theirs", mark)
    named = {"auto_map": OWN_CODE, "model_type": "evil", "tokenizer_class": "T"}
    for name in ("config.json", "tokenizer_config.json"):
        (folder / name).write_text(json.dumps(named))
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"hf_tokenizer_name": "someone/evil", "tokenizer_kwargs": options}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    network = load_backbone(settings_of("clip", folder))
    with pytest.raises(UserError, match="would run code of theirs, which is never done"):
        network.encode_texts(["a"])


def test_a_text_tower_does_not_run(made, tmp_path, mark, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    folder = with_code(made, "clip", tmp_path / "theirs", mark)
    (folder / "config.json").write_text(json.dumps({"auto_map": OWN_CODE, "model_type": "evil"}))
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"hf_model_name": str(folder)}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"makes no network of open_clip_config\.json"):
        load_backbone(settings_of("clip", folder))


FURTHER = {
    "checkpoint_path": "{}/evil.pth", "pretrained": True, "pretrained_cfg_overlay": {"file": "{}/evil.pth"},
}  # fmt: skip


@pytest.mark.parametrize("name", FURTHER)
def test_a_network_of_timm_names_no_further_file(made, tmp_path, mark, name):
    """Versions of timm that are allowed open such a file with all the code in it."""
    folder = Path(shutil.copytree(made("timm").folder, tmp_path / "theirs"))
    evil_file(tmp_path, mark)
    value = json.loads(json.dumps(FURTHER[name]).replace("{}", str(tmp_path)))
    edit_json(folder / "config.json", model_args={name: value})
    with pytest.raises(UserError, match=f"{name} is no argument of a network"):
        load_backbone(settings_of("timm", folder))
    spec = EncoderSpec("mobilevit_xxs", 32, (0, 0, 0), (1, 1, 1), {name: value})
    with pytest.raises(UserError, match=r"the config\.json of the student is damaged"):
        build_encoder(spec)


@pytest.mark.parametrize("place", ["hf-hub:someone/evil", "local-dir:/tmp"])
def test_a_network_of_timm_is_no_place(made, tmp_path, place):
    folder = Path(shutil.copytree(made("timm").folder, tmp_path / "theirs"))
    edit_json(folder / "config.json", architecture=place)
    with pytest.raises(UserError, match="is a place, not the name of a network"):
        load_backbone(settings_of("timm", folder))


@pytest.mark.parametrize("kind", ["videomae", "timesformer", "vivit", "vjepa2"])
def test_kernels_and_quantisers_of_the_hub_are_not_fetched(kind, made, tmp_path):
    folder = Path(shutil.copytree(made(kind).folder, tmp_path / "theirs"))
    edit_json(folder / "config.json", attn_implementation="someone/evil", _attn_implementation="someone/evil")
    assert load_backbone(settings_of(kind, folder)).network.config._attn_implementation in ("sdpa", "eager")
    edit_json(folder / "config.json", quantization_config={"quant_method": "bitsandbytes"})
    with pytest.raises(UserError, match="says that its weights are quantised"):
        load_backbone(settings_of(kind, folder))


def test_a_trained_student_names_no_kernel_of_the_hub(made):
    config = made("videomae").network.config.to_dict() | {
        "attn_implementation": "kernels-community/flash-attn"
    }
    found = student_of({"network": config, "mean": [0, 0, 0], "std": [1, 1, 1]}, 2)
    assert found.network.config._attn_implementation == "sdpa"


# ---- pickles of the original project


class Made:
    """Pickled, what `call` makes of arguments, then given `state`."""

    def __init__(self, call, arguments, *state) -> None:
        self.parts = (call, arguments, *state)

    def __reduce__(self):
        return self.parts


ADDRESS = (0x4141414141414141).to_bytes(8, "little")
OBJECTS = Made(np.dtype, ("O", False, True), (3, "|", None, None, None, -1, -1, 0))
"""A type of objects, told that its bytes are none: numpy would then take them from the file as addresses."""

FIELDS = Made(np.dtype, ("V8", False, True), (3, "|", None, ("a",), {"a": (np.dtype("O"), 1 << 20)}, 8, 1, 0))


@pytest.mark.parametrize(
    "array",
    [
        Made(_reconstruct, (np.ndarray, (0,), b"b"), (1, (1,), OBJECTS, False, ADDRESS)),
        Made(_reconstruct, (np.ndarray, (0,), b"b"), (1, (1,), FIELDS, False, ADDRESS)),
        Made(_frombuffer, (ADDRESS, OBJECTS, (1,), "C")),
    ],
)
def test_bytes_of_a_pickle_never_become_objects(tmp_path, array):
    file = tmp_path / "shard.pkl"
    file.write_bytes(pickle.dumps([{"path": "x", "label": 0, "student": array}], protocol=4))
    with pytest.raises(
        UserError, match=r"is no whole pickle \(an array of .* holds other things than numbers"
    ):
        read_pickle(file)
