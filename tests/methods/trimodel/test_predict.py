"""What a trained student predicts, what transformers makes of it, and what all networks cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from click.testing import CliRunner

from tests.methods.trimodel.assisted import FRAMES, STUDENT, changed, exported
from vidkd.backbones.registry import load_backbone
from vidkd.data.frames import FrameStore
from vidkd.engine.efficiency import gflops
from vidkd.methods.needs import Needs
from vidkd.methods.trimodel.predict import load_student, run_student
from workflow_scripts import measure


def test_costs_are_of_every_network(assisted, tmp_path):
    weights = assisted.train(tmp_path / "run")
    needs = Needs(weights={"both": (str(weights),)}, networks=assisted.needs().networks)
    given = [f"--needs={needs.text()}", "--rounds=3", f"--output={tmp_path / 'latency.csv'}", "trimodel"]
    done = CliRunner().invoke(measure.main, given)
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "latency.csv").set_index("variant")
    assert list(table.index) == ["both", "teacher", "assistant"]
    assert table["frames"].eq(4).all()
    assert table[["ms_1", "ms_2", "peak_mb"]].gt(0).all(axis=None)
    assert table.loc["both", "size_mb"] == weights.stat().st_size / 1e6
    for role, backbone in assisted.backbones.items():
        network = load_backbone(backbone)
        own, head = network.origin.files[0], assisted.head(role)
        assert table.loc[role, "size_mb"] == (own.stat().st_size + head.stat().st_size) / 1e6
        width, params = network.spec.width, sum(value.numel() for value in network.parameters())
        assert table.loc[role, "params"] == params + 6 * (width + 1)
        counted = gflops(network, 4, network.spec.size) + 6 * width / 1e9
        assert table.loc[role, "gflops"] == pytest.approx(counted)


def test_transformers_loads_the_student_and_gives_the_same_logits(assisted, tmp_path):
    weights = assisted.train(tmp_path / "run", changed(epochs=1))
    network = exported(weights, tmp_path / "export")
    assert network.config.id2label == {k: name for k, name in enumerate(load_student(weights)[2]["classes"])}
    processor = transformers.VideoMAEImageProcessor.from_pretrained(tmp_path / "export")
    store = FrameStore(assisted.frames("test"))
    model, settings, _ = load_student(weights)
    ours = run_student(model, store, changed(settings, eval_crop=1.0), 0)
    frames = store.clip(0, np.arange(1, 8, 2))  # the middles of four segments of eight frames
    resized = [torch.from_numpy(frame).permute(2, 0, 1) for frame in frames]
    small = torch.nn.functional.interpolate(torch.stack(resized), (32, 32), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (processor.image_mean, processor.image_std))
    with torch.no_grad():
        theirs = network(((small / 255 - mean) / std)[None]).logits
    torch.testing.assert_close(theirs[0], ours[0], atol=1e-5, rtol=1e-5)


def test_predictions_stand_beside_those_of_both_networks(assisted, tmp_path):
    weights = assisted.train(tmp_path / "run", changed(epochs=1))
    found = assisted.predict(weights)
    table = pd.DataFrame(found.columns)
    assert len(table) == 30
    theirs = pd.read_csv(assisted.head("assistant").with_name("predictions.csv")).set_index("video_id")[
        "pred"
    ]
    assert table["assistant_pred"].tolist() == theirs.loc[table["video_id"]].tolist()
    probabilities = table[[name for name in table if name.startswith("s_")]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    own = exported(weights, tmp_path / "export")
    assert found.cost["params"] == sum(p.numel() for p in own.parameters())
    assert found.cost["gflops"] > 0
    assert STUDENT.frames == FRAMES
