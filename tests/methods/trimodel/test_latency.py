"""What students, their teacher and their assistant cost, by the command."""

from __future__ import annotations

import pandas as pd
import pytest
from click.testing import CliRunner

from vidkd.backbones.registry import load_backbone
from vidkd.engine.efficiency import gflops
from vidkd.methods.needs import Needs
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
