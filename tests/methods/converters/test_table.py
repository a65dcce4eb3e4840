"""The table of all converters against means and deviations by hand."""

from __future__ import annotations

import json

import pytest

from vidkd.methods.converters.table import COLUMNS, tabulate
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs


def test_the_table(tmp_path):
    paths = []
    for seed, (converter, teacher) in enumerate(2 * [("linear", "vivit"), ("random", "vivit")]):
        splits = {
            split: {name: seed + shift + 0.25 for name in COLUMNS} | {"n_clips": 10 + shift}
            for split, shift in (("test", 2), ("val", 1))
        }
        about = {"converter": converter, "teacher": teacher, "params": 7, "splits": splits, "seed": seed // 2}
        paths.append(tmp_path / f"{seed}.json")
        paths[-1].write_text(json.dumps(about))
    table = tabulate(Inputs(Needs(results={"metrics": tuple(map(str, paths))})), {})
    assert list(table) == [
        "converter", "teacher", "split", "seeds", "clips", "r2", "r2_std", "r2_mean_feature", "cosine",
        "cosine_std", "cosine_mean_feature", "cka", "cka_std", "cka_student", "retrieval_top1",
        "retrieval_top1_std", "retrieval_chance", "probe_top1", "probe_top1_std", "probe_top1_real",
        "probe_chance", "params",
    ]  # fmt: skip
    keys = ["converter", "teacher", "split", "seeds", "clips"]
    assert table[keys].to_numpy().tolist() == [
        ["linear", "vivit", "test", 2, 12], ["random", "vivit", "test", 2, 12],
        ["linear", "vivit", "val", 2, 11], ["random", "vivit", "val", 2, 11],
    ]  # fmt: skip
    # Seeds 0 and 2 of four runs: 2.25 and 4.25.
    assert table.loc[0, ["r2", "r2_std", "probe_top1_real"]].tolist() == pytest.approx([3.25, 2**0.5, 3.25])
