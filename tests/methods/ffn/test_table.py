from __future__ import annotations

import json

import pandas as pd
import pytest

from vidkd.errors import UserError
from vidkd.methods.evaluate import Evaluated
from vidkd.methods.ffn.settings import TFDSettings
from vidkd.methods.ffn.table import figures, tabulate_any_frame, tabulate_tfd
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs

SETTINGS = TFDSettings(report_counts=(4, 8), separate={4: "st4", 8: "tsm"})
ACCURACY = {  # variant → seed → accuracy at 4, 6 and 8 frames, chosen by hand
    "tsm": {0: (50, 70, 90), 1: (54, 72, 94)},
    "st4": {0: (80, 60, 40), 1: (84, 62, 44)},
    "ffn": {0: (85, 86, 91), 1: (87, 88, 97)},
}


def tabulate(make, metrics, settings=SETTINGS):
    inputs = Inputs(Needs(results={"metrics": tuple(map(str, metrics))}))
    return make(inputs, settings.model_dump(mode="json"))


@pytest.fixture
def metrics(tmp_path):
    paths = []
    for variant, seeds in ACCURACY.items():
        for seed, values in seeds.items():
            by_count = dict(zip((4, 6, 8), values, strict=True))
            run = {
                "run": variant, "n_clips": 24, "seed": seed, "accuracy": by_count, "params": 100,
                "gflops": {c: c / 10 for c in by_count}, "result_gate": {"passed": True, "reason": ""},
            }  # fmt: skip
            paths.append(tmp_path / f"{variant}{seed}.json")
            paths[-1].write_text(json.dumps(run))
    return paths


def test_the_table_is_what_one_works_out_by_hand(metrics):
    table = tabulate(tabulate_tfd, metrics).set_index("variant")
    assert list(table.index) == ["tsm", "st4", "ffn", "st"]
    assert list(table.columns) == [
        "seeds", "acc_4f", "acc_4f_std", "acc_8f", "acc_8f_std", "tfd_gap", "tfd_gap_std",
        "dev_4f", "dev_4f_std", "dev_8f", "dev_8f_std", "params", "gflops_4f", "gflops_8f", "clips",
    ]  # fmt: skip
    ffn = table.loc["ffn"]
    assert (ffn.acc_4f, ffn.acc_8f, ffn.tfd_gap) == (86, 94, 8)
    assert ffn.acc_4f_std == pytest.approx(2**0.5, abs=1e-4)
    assert ffn.tfd_gap_std == pytest.approx(8**0.5, abs=1e-4)  # 6 and 10
    assert (ffn.dev_4f, ffn.dev_8f) == (-4, -2)
    assert (table.loc["st"].acc_4f, table.loc["st"].acc_8f, table.loc["st"].params) == (82, 92, 200)
    assert (table.loc["tsm"].dev_4f, table.loc["tsm"].dev_8f) == (30, 0)
    assert table.loc["ffn"].gflops_8f == 0.8


def test_every_count_and_ties_of_separate_training_go_up(metrics):
    table = tabulate(tabulate_any_frame, metrics).set_index(["variant", "frames"])
    assert table.loc[("st", 6), "acc"] == 71  # served by the one trained at 8
    assert table.loc[("ffn", 6), "acc"] == 87


def test_a_missing_baseline_is_named(metrics):
    with pytest.raises(UserError, match="st4"):
        tabulate(tabulate_tfd, [p for p in metrics if "st4" not in p.name])


def test_a_count_that_was_not_predicted_is_named(metrics):
    settings = SETTINGS.model_copy(update={"report_counts": (4, 16)})
    with pytest.raises(UserError, match=r"\[16\]"):
        tabulate(tabulate_tfd, metrics, settings)


def test_without_separate_training_there_is_no_row_and_no_deviation(metrics):
    settings = SETTINGS.model_copy(update={"separate": {}})
    table = tabulate(tabulate_tfd, metrics, settings)
    assert list(table["variant"]) == ["tsm", "st4", "ffn"]
    assert not [name for name in table.columns if name.startswith("dev")]


def test_predictions_of_no_frame_count_are_an_error(tmp_path):
    table = pd.DataFrame({"video_id": ["a"], "label_id": [0]})
    table.to_csv(tmp_path / "predictions.csv", index=False)
    inputs = Inputs(Needs(results={"predictions": (str(tmp_path / "predictions.csv"),)}))
    with pytest.raises(UserError, match="no predictions"):
        figures(Evaluated(table, {}, ["a", "b", "c"], inputs, {}))
