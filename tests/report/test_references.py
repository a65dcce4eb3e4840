from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from vidkd.config.load import load_settings
from vidkd.config.protocols import OurProtocol, our_protocols
from vidkd.config.references import Place, Protocol, Reference, Source, load_references
from vidkd.report.references import COLUMNS, cited, different, in_words, reference_rows

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = load_references(ROOT / "config/references.yaml")
SSV2 = our_protocols(load_settings(ROOT / "config/experiments/ssv2.yaml"))
TFD = pd.DataFrame(
    {
        "variant": ["ffn", "tsm", "st"],
        "acc_4f": [50.0, 30.0, 52.0],
        "acc_8f": [60.0, 50.0, 59.0],
        "acc_16f": [64.0, 61.0, 61.0],
    }
)
OURS = {
    "network": "TSM-ResNet50", "frames": 8, "clips": 1, "crops": 1, "size": 224, "split": "validation split",
    "sampling": "uniform", "training": "at 8 frames", "pretraining": "ImageNet",
    "selection": "validation split",
}  # fmt: skip
FULL = {name: OURS[name] for name in OURS if name != "selection"}


def one(table, **changes):
    """A published result of 60% on ssv2 beside the row and column of `changes`."""
    place = {"table": table, "column": changes.pop("column", "top1"), **changes.pop("ours")}
    protocol = Protocol(**changes.pop("protocol", {}))
    source = Source(title="A paper", year=2020, url="https://example.org", **changes.pop("source", {}))
    return Reference(
        data_set="ssv2", method="A", network="N", value=60, protocol=protocol, source=source,
        ours=Place(**place),
    )  # fmt: skip


def test_a_row_of_ffn_stands_beside_the_paper():
    rows = reference_rows(REFERENCES, {"tfd": TFD}, "ssv2", SSV2)
    assert tuple(rows.columns) == COLUMNS
    paper = rows[rows["source"].str.startswith("Frame Flexible Network, 2023")]
    assert [*paper["row"]] == [
        f"tfd: {variant}, acc_{count}f" for variant in ("tsm", "st", "ffn") for count in (4, 8, 16)
    ]
    last = paper.iloc[-1]
    assert (last["data_set"], last["method"], last["network"]) == ("ssv2", "FFN", "TSM-ResNet50")
    assert (last["ours"], last["theirs"]) == (64.0, 63.61)
    assert last["difference"] == pytest.approx(0.39)
    assert pd.isna(last["low"])
    assert pd.isna(last["high"])
    assert last["protocol_theirs"] == (
        "TSM-ResNet50, 16 frames, 1 clip, 1 crop, 224 px, validation split, uniform sampling, at 4, 8 and 16 "
        "frames, from ImageNet, epoch chosen on the reported split"
    )
    assert last["protocol_ours"] == last["protocol_theirs"].replace("reported", "validation")
    assert not last["same_protocol"]
    assert last["differs"] == (
        "theirs: epoch chosen on the reported split; ours: epoch chosen on the validation split"
    )


def test_rows_and_columns_that_we_have_not_are_left_out():
    part = TFD.loc[TFD["variant"] == "ffn", ["variant", "acc_16f"]]
    rows = reference_rows(REFERENCES, {"tfd": part}, "ssv2", SSV2)
    assert {*rows["row"]} == {"tfd: ffn, acc_16f"}
    empty = part.assign(acc_16f=float("nan"))
    assert reference_rows(REFERENCES, {"tfd": empty}, "ssv2", SSV2).empty


@pytest.mark.parametrize("data_set", [None, "ucf101", "xd_violence"])
def test_a_data_set_without_references_has_an_empty_table(data_set):
    rows = reference_rows(REFERENCES, {"tfd": TFD}, data_set, SSV2)
    assert tuple(rows.columns) == COLUMNS
    assert rows.empty


def test_without_tables_there_is_no_row():
    assert reference_rows(REFERENCES, {}, "ssv2", SSV2).empty


def test_the_same_protocol_is_said():
    reference = one("tfd", ours={"variants": ["st8"]}, column="acc_8f", protocol=FULL)
    table = pd.DataFrame({"variant": ["st8"], "acc_8f": [61.5]})
    without_frames = OurProtocol(**{**OURS, "frames": None})
    (row,) = reference_rows([reference], {"tfd": table}, "ssv2", {"tfd": {"st8": without_frames}}).to_dict(
        "records"
    )
    assert row["same_protocol"] is True
    assert row["differs"] == ""
    assert row["difference"] == 1.5


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [
        ({"clips": 2, "crops": 3}, {}, "theirs: 2 clips, 3 crops; ours: 1 clip, 1 crop"),
        ({"size": None}, {}, "theirs: size not stated; ours: 224 px"),
        ({}, {"size": None}, "theirs: 224 px; ours: size not stated"),
        ({"network": None}, {"network": None}, "theirs: network not stated; ours: network not stated"),
        ({"frames": 16}, {}, "theirs: 16 frames; ours: 8 frames"),
        ({"split": "split 1"}, {}, "theirs: split 1; ours: validation split"),
        ({"pretraining": None}, {}, ""),
        ({}, {"pretraining": None}, ""),
        ({"pretraining": "Kinetics-400"}, {}, "theirs: from Kinetics-400; ours: from ImageNet"),
        ({"sampling": "dense"}, {}, "theirs: dense sampling; ours: uniform sampling"),
        ({"training": "fine-tuned"}, {}, "theirs: fine-tuned; ours: at 8 frames"),
        (
            {"selection": "reported split"},
            {},
            "theirs: epoch chosen on the reported split; ours: epoch chosen on the validation split",
        ),
    ],
)
def test_what_differs_is_said(theirs, ours, words):
    reference = one("trimodel", ours={"variants": ["both"]}, protocol=FULL | theirs)
    table = pd.DataFrame({"variant": ["both"], "top1": [61.5]})
    protocols = {"trimodel": {"both": OurProtocol(**OURS | ours)}}
    (row,) = reference_rows([reference], {"trimodel": table}, "ssv2", protocols).to_dict("records")
    assert row["differs"] == words
    assert row["same_protocol"] is (words == "")


def test_our_interval_is_beside_its_column():
    reference = one("trimodel", ours={"variants": ["teacher", "ce"]})
    table = pd.DataFrame(
        {
            "variant": ["ce", "both", "teacher"],
            "top1": [1.0, 2, 3],
            "low": [0.5, 1.5, 2.5],
            "high": [4.0, 5, 6],
        }
    )
    rows = reference_rows([reference], {"trimodel": table}, "ssv2", {})
    assert rows[["row", "ours", "low", "high"]].to_numpy().tolist() == [
        ["trimodel: ce, top1", 1.0, 0.5, 4.0],
        ["trimodel: teacher, top1", 3.0, 2.5, 6.0],
    ]
    assert rows["protocol_ours"].tolist() == ["", ""]
    assert not rows["same_protocol"].any(), "an unknown protocol is not the same"


def test_probes_stand_beside_by_the_kind_of_their_backbone():
    reference = one("probes", ours={"backbone_kind": "vjepa2", "head": "attentive"})
    table = pd.DataFrame(
        {
            "backbone": ["a", "a", "b", "c"],
            "head": ["attentive", "linear", "attentive", "attentive"],
            "top1": [1.0, 2.0, 3.0, 4.0],
        }
    )
    protocols = {
        "probes": {
            "a.attentive": OurProtocol(kind="vjepa2", frames=1, clips=1),
            "a.linear": OurProtocol(kind="vjepa2"),
            "b.attentive": OurProtocol(kind="videomae"),
        }
    }
    (row,) = reference_rows([reference], {"probes": table}, "ssv2", protocols).to_dict("records")
    assert (row["row"], row["ours"]) == ("probes: a.attentive, top1", 1.0)
    assert row["protocol_ours"] == "1 frame, 1 clip"


def test_a_source_says_where():
    source = Source(title="A paper", year=2020, url="https://example.org", where="table 2")
    assert cited(source) == "A paper, 2020, https://example.org (table 2)"


def test_a_protocol_in_words_has_what_is_known():
    assert in_words(Protocol(clips=2, crops=1)) == "2 clips, 1 crop"
    assert different(Protocol(), Protocol()) == ["network", "frames", "clips", "crops", "size", "split"]
