from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from vidkd.config.references import data_set_of, load_references
from vidkd.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "config/references.yaml"
METHODS = ROOT.parent / "shared/methods.md"

# Of the paper: at 4, 8 and 16 frames, by data set, of TSM trained at 16, separate training and FFN.
PAPER = {
    "ssv1": "20.60 / 37.36 / 48.55 | 39.71 / 45.63 / 48.55 | 42.85 / 48.20 / 50.79",
    "ssv2": "31.52 / 51.55 / 61.02 | 53.38 / 59.29 / 61.02 | 56.07 / 61.86 / 63.61",
    "kinetics400": "64.10 / 69.77 / 73.16 | 66.25 / 70.38 / 73.16 | 68.96 / 72.33 / 74.35",
    "hmdb51": "42.16 / 46.38 / 48.30 | 44.74 / 46.77 / 48.30 | 45.67 / 47.67 / 48.80",
}
ABLATIONS = {
    "no_specialised_norm": [35.79, 46.80, 44.62],
    "no_weight_alteration": [41.91, 47.92, 49.84],
    "ce_on_all": [39.61, 45.65, 48.07],
    "no_sharing": [41.51, 47.16, 48.23],
    "finetune": [39.95, 40.37, 28.96],
    "ensemble": [35.88, 46.25, 46.82],
}
NAMES = {"SSv1": "ssv1", "SSv2": "ssv2", "Kinetics-400": "kinetics400", "HMDB51": "hmdb51"}
OTHERS = {
    ("ssv2", "amd"): {70.2, 73.3},
    ("kinetics400", "amd"): {80.1, 82.2},
    ("ucf101", "amd"): {97.1},
    ("hmdb51", "amd"): {79.6},
    ("ssv2", "videomae"): {66.8, 69.6, 70.8, 74.3},
    ("kinetics400", "videomae"): {79.0, 81.5, 85.2, 86.6},
    ("ucf101", "videomae"): {91.3, 96.1},
    ("hmdb51", "videomae"): {62.6, 73.3},
    ("kinetics400", "videomae_v2"): {83.7, 86.6},
    ("ssv2", "vjepa2"): {73.7, 77.3},
    ("diving48", "vjepa2"): {89.0, 90.2},
    ("ssv2", "tsm"): {61.2, 63.1},
    ("kinetics400", "tsm"): {71.2},
    ("ssv2", "mmaction2"): {62.72, 64.16},
    ("kinetics400", "mmrazor"): {68.71, 69.60, 74.12, 75.54},
    ("ssv2", "ffn_again"): {30.13, 48.93, 56.68, 50.86, 56.52, 58.85},
}


def paper_table() -> dict[str, list[str]]:
    """The table of ../shared/methods.md where it is there, otherwise the same written down here."""
    if not METHODS.is_file():
        return {name: row.split(" | ") for name, row in PAPER.items()}
    rows = re.findall(r"^\| (SSv1|SSv2|Kinetics-400|HMDB51) \| (.+) \|$", METHODS.read_text(), re.MULTILINE)
    return {NAMES[name]: cells.split(" | ") for name, cells in rows}


def of_ffn(**wanted):
    """Values at 4, 8 and 16 frames of the paper's own entries for a variant of ours."""
    found = [
        reference
        for reference in load_references(FILE)
        if reference.source.title == "Frame Flexible Network"
        and reference.data_set == wanted["data_set"]
        and reference.ours.variants == (wanted["variant"],)
    ]
    assert [reference.ours.column for reference in found] == ["acc_4f", "acc_8f", "acc_16f"]
    assert [reference.protocol.frames for reference in found] == [4, 8, 16]
    return [reference.value for reference in found]


@pytest.mark.parametrize("data_set", PAPER)
def test_the_table_of_the_paper_is_in_it(data_set):
    table = paper_table()
    assert set(table) == set(PAPER)
    for variant, cell in zip(("tsm", "st", "ffn"), table[data_set], strict=True):
        assert of_ffn(data_set=data_set, variant=variant) == [float(value) for value in cell.split(" / ")]


@pytest.mark.parametrize("variant", ABLATIONS)
def test_its_ablations_are_in_it(variant):
    assert of_ffn(data_set="ssv1", variant=variant) == ABLATIONS[variant]


@pytest.mark.parametrize(("data_set", "source"), OTHERS)
def test_the_others_are_in_it(data_set, source):
    title = yaml.safe_load(FILE.read_text())["sources"][source]["title"]
    found = [r.value for r in load_references(FILE) if (r.data_set, r.source.title) == (data_set, title)]
    assert len(found) == len(OTHERS[data_set, source])
    assert set(found) == OTHERS[data_set, source]


def test_every_number_of_the_notes_is_one_of_its_numbers():
    """Those with the words of a published figure before them: one that is left out is named here."""
    if not METHODS.is_file():
        pytest.skip("the notes are not there")
    text = METHODS.read_text().partition("## Published figures")[2].partition("- **Sizes**")[0]
    values = {reference.value for reference in load_references(FILE)}
    said = {float(number) for number in re.findall(r"(?<![\w./])\d\d\.\d{1,2}(?![\d.])", text)}
    top5 = {92.5, 94.0}
    of_its_size = {23.87, 32.9, 65.8}
    assert said - values - top5 - of_its_size == set()


def test_every_entry_has_a_source_and_a_place():
    references = load_references(FILE)
    assert len(references) == 93
    for reference in references:
        assert reference.source.url.startswith("https://")
        assert reference.protocol.network == reference.network
        assert "{" not in reference.ours.column
    used = {entry["source"] for entry in yaml.safe_load(FILE.read_text())["results"]}
    assert used == set(yaml.safe_load(FILE.read_text())["sources"])


SOURCE = {"title": "A paper", "year": 2020, "url": "https://example.org"}
ENTRY = {
    "data_set": "ssv2",
    "method": "A",
    "network": "N",
    "top1": 50,
    "protocol": {},
    "source": "a",
    "ours": {"table": "tfd", "variants": ["ffn"], "column": "acc_16f"},
}
PROBES = {"table": "probes", "backbone_kind": "vjepa2"}
BY_FRAMES = {"table": "tfd", "variants": ["ffn"], "column": "acc_{frames}f"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data_set": "ssv3"}, 'result 1 (A on ssv3): data_set: found "ssv3"; allowed: one of ssv1, ssv2'),
        ({"top1": 0.5}, "result 1 (A on ssv2): top1: found 0.5; allowed: percent, above 1 and at most 100"),
        ({"top1": {4: 101}}, "top1: found 101; allowed: percent"),
        ({"top1": {4: 40}}, "ours.column: put {frames} into it, for top1 is by frames"),
        ({"ours": BY_FRAMES}, "ours.column: {frames} stands for nothing"),
        (
            {"top1": {4: 40}, "ours": BY_FRAMES, "protocol": {"frames": 4}},
            "protocol.frames: top1 is by frames: leave it out",
        ),
        ({"protocol": {"network": "N"}}, "protocol.network: network says it: leave it out"),
        ({"protocol": {"clips": 0}}, "protocol.clips: found 0; allowed: whole number, at least 1, or null"),
        ({"protocol": {"crop": 1}}, "protocol.crop: no such setting; did you mean crops?"),
        ({"protocol": {"selection": "test"}}, "protocol.selection: found"),
        ({"source": "b"}, "source: no source is named b; known: a"),
        ({"ours": PROBES}, "ours: rows of probes are named by backbone_kind and head: set both"),
        ({"ours": {"table": "tfd"}}, "ours: rows of tfd are named by variants: name one or more"),
        ({"ours": {"table": "summary", "variants": ["a"]}}, "ours.table: found"),
        ({"url": "x"}, "url: no such setting"),
    ],
)
def test_wrong_entries_are_named(tmp_path, changes, sentence):
    file = tmp_path / "references.yaml"
    file.write_text(yaml.safe_dump({"sources": {"a": SOURCE}, "results": [ENTRY | changes]}))
    with pytest.raises(UserError) as refused:
        load_references(file)
    assert sentence in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("results: []", "found the keys results; allowed: sources and results"),
        ("{sources: [], results: []}", "sources is a mapping by name and results a list"),
        ("{sources: {a: {title: A}}, results: []}", "sources.a: year is missing"),
        ("{sources: {}, results: [{method: A}]}", "result 1 (A): data_set is missing"),
        ("{sources: {}, results: [5]}", "result 1: found 5"),
        ("{sources: {}, results: [", "not valid YAML"),
    ],
)
def test_wrong_files_are_refused(tmp_path, text, sentence):
    file = tmp_path / "references.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as refused:
        load_references(file)
    assert sentence in str(refused.value)


def test_all_problems_are_listed_at_once(tmp_path):
    file = tmp_path / "references.yaml"
    entries = [ENTRY | {"top1": 200}, ENTRY, ENTRY | {"source": "b"}]
    file.write_text(yaml.safe_dump({"sources": {"a": SOURCE}, "results": entries}))
    with pytest.raises(UserError) as refused:
        load_references(file)
    head, *lines = str(refused.value).splitlines()
    assert head == f"wrong entries in {file}:"
    assert [line.split()[1] for line in lines] == ["1", "3"]


@pytest.mark.parametrize(
    ("adapter", "classes", "name"),
    [
        ("ssv2", 174, "ssv2"),
        ("ssv2", 10, None),
        ("kinetics", 400, "kinetics400"),
        ("kinetics", 600, None),
        ("hmdb51", 51, "hmdb51"),
        ("ucf101", 101, "ucf101"),
        ("csv", 174, None),
        ("demo", 12, None),
    ],
)
def test_data_sets_are_known_by_adapter_and_classes(adapter, classes, name):
    assert data_set_of(adapter, classes) == name
