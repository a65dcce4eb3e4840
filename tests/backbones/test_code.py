"""Whose features and checkpoints a change of the code makes anew."""

from __future__ import annotations

import shutil

import pytest

from vidkd.backbones import registry
from vidkd.backbones.pretrain import registry as networks
from vidkd.provenance import PACKAGES, ROOT, digest_closure

ALL = set(registry.BACKBONES)
VIDEO = {"videomae", "timesformer", "vivit", "vjepa2"}


@pytest.fixture(scope="module")
def digests(tmp_path_factory):
    """Digests of features and of checkpoints by kind, after a statement is added to a file of the project."""

    def compute(changed: str | None = None) -> dict[str, dict[str, str]]:
        root = tmp_path_factory.mktemp("project")
        for package in PACKAGES:
            shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
        if changed is not None:
            with (root / changed).open("a") as file:
                file.write("\nCHANGED = 1\n")
        modules = {
            "features": ("workflow_scripts.cache_features", registry.module_of),
            "checkpoints": ("workflow_scripts.train_checkpoint", networks.module_of),
        }
        return {
            name: {kind: digest_closure(str(root), (script, module_of(kind))) for kind in ALL}
            for name, (script, module_of) in modules.items()
        }

    return compute


@pytest.fixture(scope="module")
def before(digests):
    return digests()


@pytest.mark.parametrize(
    ("changed", "features", "checkpoints"),
    [
        ("fetch.py", set(), set()),
        ("backbones/hub_files.py", set(), set()),
        ("backbones/download.py", set(), set()),
        ("backbones/hub.py", ALL, ALL),
        ("backbones/clip.py", {"clip"}, {"clip"}),
        ("backbones/mobilevit.py", {"timm"}, {"timm"}),
        ("backbones/vivit.py", {"vivit"}, {"vivit"}),
        ("backbones/amd.py", {"videomae"}, {"videomae"}),
        ("backbones/huggingface.py", VIDEO, VIDEO),
        ("backbones/pretrain/clip.py", set(), {"clip"}),
        ("backbones/pretrain/vivit.py", set(), {"vivit"}),
        ("backbones/pretrain/of_transformers.py", set(), VIDEO),
        ("backbones/pretrain/captions.py", set(), ALL),
    ],
)
def test_a_change_reaches_no_more_than_its_kinds(digests, before, changed, features, checkpoints):
    after = digests(f"vidkd/{changed}")
    different = {
        name: {kind for kind in ALL if after[name][kind] != before[name][kind]}
        for name in ("features", "checkpoints")
    }
    assert different == {"features": features, "checkpoints": checkpoints}
