from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from vidkd.config.references import Place, Protocol, Reference, Source, load_references
from vidkd.report.references import COLUMNS, cited, in_words, reference_rows

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = load_references(ROOT / "config/references.yaml")
TFD = pd.DataFrame(
    {
        "variant": ["ffn", "tsm", "st"],
        "acc_4f": [50.0, 30.0, 52.0],
        "acc_8f": [60.0, 50.0, 59.0],
        "acc_16f": [64.0, 61.0, 61.0],
    }
)


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
    rows = reference_rows(REFERENCES, {"tfd": TFD}, "ssv2", {})
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
    assert last["frames"] == 16
    assert last["protocol"] == (
        "16 frames, 1 clip, 1 crop, 224 px, validation split, uniform sampling, at 4, 8 and 16 frames, "
        "from ImageNet, epoch chosen on the reported split"
    )


def test_rows_and_columns_that_we_have_not_are_left_out():
    part = TFD.loc[TFD["variant"] == "ffn", ["variant", "acc_16f"]]
    rows = reference_rows(REFERENCES, {"tfd": part}, "ssv2", {})
    assert {*rows["row"]} == {"tfd: ffn, acc_16f"}
    empty = part.assign(acc_16f=float("nan"))
    assert reference_rows(REFERENCES, {"tfd": empty}, "ssv2", {}).empty


@pytest.mark.parametrize("data_set", [None, "ucf101", "xd_violence"])
def test_a_data_set_without_references_has_an_empty_table(data_set):
    rows = reference_rows(REFERENCES, {"tfd": TFD}, data_set, {})
    assert tuple(rows.columns) == COLUMNS
    assert rows.empty


def test_without_tables_there_is_no_row():
    assert reference_rows(REFERENCES, {}, "ssv2", {}).empty


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
    summary = pd.DataFrame(
        {"method": ["student", "trimodel"], "variant": ["teacher", "ce"], "frames": [4.0, 8.0]}
    )
    rows = reference_rows([reference], {"trimodel": table, "summary": summary}, "ssv2", {})
    assert rows[["row", "ours", "low", "high"]].to_numpy().tolist() == [
        ["trimodel: ce, top1", 1.0, 0.5, 4.0],
        ["trimodel: teacher, top1", 3.0, 2.5, 6.0],
    ]
    assert rows["frames"].fillna(0).tolist() == [8, 0], "known by the summary, or not at all"
    assert rows["protocol"].tolist() == ["", ""]


def test_probes_stand_beside_by_the_kind_of_their_backbone():
    reference = one("probes", ours={"backbone_kind": "vjepa2", "head": "attentive"})
    table = pd.DataFrame(
        {
            "backbone": ["a", "a", "b", "c"],
            "head": ["attentive", "linear", "attentive", "attentive"],
            "top1": [1.0, 2.0, 3.0, 4.0],
        }
    )
    kinds = {"a": "vjepa2", "b": "videomae"}
    (row,) = reference_rows([reference], {"probes": table}, "ssv2", kinds).to_dict("records")
    assert (row["row"], row["ours"]) == ("probes: a.attentive, top1", 1.0)


def test_a_source_says_where():
    source = Source(title="A paper", year=2020, url="https://example.org", where="table 2")
    assert cited(source) == "A paper, 2020, https://example.org (table 2)"


def test_a_protocol_in_words_has_what_is_known():
    assert in_words(Protocol(clips=2, crops=1)) == "2 clips, 1 crop"
    assert in_words(Protocol()) == ""
