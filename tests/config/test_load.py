from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidkd.config.base import canonical
from vidkd.config.load import load_settings, read_yaml
from vidkd.config.settings import Settings
from vidkd.errors import UserError


def wrong(source) -> list[str]:
    """The problems of `source`, one a line."""
    with pytest.raises(UserError) as caught:
        load_settings(source)
    head, *lines = str(caught.value).splitlines()
    assert head == "wrong settings in the configuration:"
    return [line.strip() for line in lines]


def written(tmp_path, text: str):
    path = tmp_path / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_not_given_has_its_default(tmp_path):
    assert load_settings({}) == Settings()
    assert load_settings(written(tmp_path, "")) == Settings()
    assert load_settings(written(tmp_path, "# only a comment\n")) == Settings()


def test_yaml_is_read(tmp_path):
    settings = load_settings(written(tmp_path, "seeds: [3, 4]\nffn:\n  base: {lr: 5e-5, precision: 'no'}\n"))
    assert settings.seeds == (3, 4)
    assert settings.ffn.base.lr == 0.00005
    assert settings.ffn.base.precision == "no"
    assert settings.ffn.base.epochs == 50


def test_text_as_snakemake_config_gives_it():
    base = {"lr": "0.02", "epochs": "7", "sharing": "false", "patience": "null", "frame_counts": ["4", "8"]}
    settings = load_settings({"ffn": {"base": {**base, "weights": "null", "clip_grad": "1e1"}}})
    assert settings.ffn.base.lr == 0.02
    assert settings.ffn.base.epochs == 7
    assert settings.ffn.base.sharing is False
    assert settings.ffn.base.frame_counts == (4, 8)
    assert settings.ffn.base.patience is None
    assert settings.ffn.base.weights is None
    assert settings.ffn.base.clip_grad == 10.0


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ({"ffn": {"base": {"lambda_k": 1}}}, "ffn.base.lambda_k: no such setting; did you mean lambda_kl?"),
        ({"ffn": {"base": {"gamma": 0.1}}}, "ffn.base.gamma: no such setting; did you mean step_factor?"),
        ({"compute": {"tensorboard": True}}, "compute.tensorboard: no such setting; did you mean trackers?"),
        ({"sedes": [0]}, "sedes: no such setting; did you mean seeds?"),
        (
            {"lr": 1},
            "lr: no such setting; did you mean ffn.base.lr or probes.attentive.lr or converters.base.lr "
            "or fusion.base.lr or student.base.lr or trimodel.base.lr?",
        ),
        ({"report": {"zzz": 1}}, "report.zzz: no such setting; known: title"),
        ({"ffn": {"base": {"lr": "fast"}}}, 'ffn.base.lr: found "fast"; allowed: number, above 0'),
        ({"ffn": {"base": {"lr": 0}}}, "ffn.base.lr: found 0; allowed: number, above 0"),
        (
            {"ffn": {"base": {"dropout": 1}}},
            "ffn.base.dropout: found 1; allowed: number, at least 0, below 1",
        ),
        (
            {"ffn": {"base": {"patience": 0}}},
            "ffn.base.patience: found 0; allowed: whole number, at least 1, or null",
        ),
        ({"demo": {"size": 57}}, "demo.size: found 57; allowed: whole number, at least 32, a multiple of 2"),
        ({"demo": {"frames": 8.5}}, "demo.frames: found 8.5; allowed: whole number, at least 8"),
        ({"ffn": {"base": {"lr": float("nan")}}}, "ffn.base.lr: found NaN; allowed: number, above 0"),
        ({"frames": {"encoding": "png"}}, 'frames.encoding: found "png"; allowed: one of raw, jpeg, none'),
        ({"results_dir": 2024}, "results_dir: found 2024; allowed: text, not empty"),
        ({"results_dir": ""}, 'results_dir: found ""; allowed: text, not empty'),
        ({"seeds": []}, "seeds: found []; allowed: list of whole numbers, not empty"),
        ({"seeds": "0"}, 'seeds: found "0"; allowed: list of whole numbers, not empty'),
        ({"seeds": [0, "a"]}, 'seeds.1: found "a"; allowed: whole number'),
        ({"ffn": {"base": {"std": [1]}}}, "ffn.base.std: found [1]; allowed: list of 3 numbers"),
        ({"ffn": {"base": {"flip_labels": {"a": 3}}}}, "ffn.base.flip_labels.a: found 3; allowed: text"),
        (
            {"ffn": {"tfd": {"separate": {"x": "tsm"}}}},
            'ffn.tfd.separate.x: the name is "x"; allowed: whole number',
        ),
        ({"demo": None}, "demo: found null; allowed: a mapping of settings; {} has every default"),
        ({"ffn": {"variants": {3: {}}}}, "ffn.variants.3: the name is 3; allowed: text; write it in quotes"),
        ({3: 4}, "3: the name is not text: write it in quotes"),
    ],
)
def test_a_wrong_setting_is_one_line(source, line):
    assert wrong(source) == [line]


def test_true_is_no_number(tmp_path):
    (line,) = wrong(read_yaml(written(tmp_path, "ffn: {base: {precision: no}}")))
    assert line.startswith("ffn.base.precision: found false; allowed: one of no, bf16, fp16 (YAML reads")
    assert wrong({"seeds": [True]})[0].startswith("seeds: found [true]; allowed: list of whole numbers")
    assert wrong({"demo": {"train": True}})[0].startswith("demo.train: found true; allowed: whole number")


def test_every_problem_is_listed():
    source = {
        "foo": 1,
        "demo": {"crf": 99},
        "ffn": {
            "base": {"lr": -1},
            "variants": {"a": {"epochs": 0, "lrr": 1}, "B": {}},
            "ensembles": {"st": ["a"]},
        },
    }
    assert {line.split(":")[0] for line in wrong(source)} == {
        "foo",
        "demo.crf",
        "ffn.base.lr",
        "ffn.variants.a.epochs",
        "ffn.variants.a.lrr",
        "ffn.variants.B",
        "ffn.ensembles.st",
    }


SEPARATE = {"separate": {4: "tsm"}}


@pytest.mark.parametrize(
    ("experiment", "line"),
    [
        ({"variants": {"tsm": {"lr": -1}}}, "variants.tsm.lr: found -1; allowed: number, above 0"),
        ({"variants": {"tsm": {"epoch": 1}}}, "variants.tsm.epoch: no such setting; did you mean epochs?"),
        ({"variants": {"tsm": None}}, "variants.tsm: found null; allowed: mapping of settings"),
        (
            {"variants": {"tsm": {"sharing": False, "sampling": "mixed"}}},
            "variants.tsm: sharing: false trains every count in each step: sampling must be all",
        ),
        (
            {"base": {"init_from": "tsm"}, "variants": {"tsm": {"weights": "x.pth"}}},
            "variants.tsm: weights and init_from both say where to start: set one",
        ),
        (
            {"variants": {"tsm": {}, "b": {"init_from": "tms"}}},
            "variants.b.init_from: no variant is named 'tms'; did you mean tsm?",
        ),
        (
            {"variants": {"tsm": {"init_from": "tsm"}}},
            "variants.tsm.init_from: leads back to this variant; start from another one",
        ),
        (
            {"variants": {"tsm": {}}, "ensembles": {"e": ["tsm", "q"]}},
            "ensembles.e: no variant is named 'q'; known: tsm",
        ),
        (
            {"variants": {"tsm": {}}, "ensembles": {"e": []}},
            "ensembles.e: found []; allowed: one variant or more",
        ),
        (
            {"variants": {"tsm": {}}, "ensembles": {"tsm": ["tsm"]}},
            "ensembles.tsm: a variant has this name too: choose another",
        ),
        (
            {"variants": {"tsm": {}, "../x": {}}},
            "variants.../x: wrong name; allowed: lower-case letters, digits and _, for it names a folder",
        ),
        (
            {"variants": {"tsm": {}, "st": {}}},
            "variants.st: wrong name: st is the row of separate training; choose another",
        ),
    ],
)
def test_a_wrong_variant_names_its_place(experiment, line):
    assert wrong({"ffn": {"tfd": SEPARATE, **experiment}}) == [f"ffn.{line}"]


def test_variants_start_from_base_in_the_order_given():
    variants = {"z": {"lr": "5e-5"}, "tsm": {}, "a": {"frame_counts": ["4", 8]}}
    ffn = load_settings({"ffn": {"tfd": SEPARATE, "base": {"lr": 0.5}, "variants": variants}}).ffn
    assert list(ffn.variants) == ["z", "tsm", "a"]
    assert ffn.variants["z"] == {"lr": 0.00005}
    assert ffn.variant("z").lr == 0.00005
    assert ffn.variant("a").lr == 0.5
    assert ffn.variant("a").frame_counts == (4, 8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seeds: [0]\nseeds: [1]\n", ", line 2: not valid YAML: the key seeds is given twice"),
        ("ffn:\n  base:\n    lr: 1\n    'lr': 2\n", ", line 4: not valid YAML: the key lr is given twice"),
        ("a: [1\nb: 2\n", "not valid YAML"),
        ("day: 2020-13-45\n", ": not valid YAML: month must be in 1..12"),
        ("a: !!python/object:os.system {}\n", "not valid YAML: could not determine a constructor"),
        ("[1, 2]\n", ": found a list; a configuration is a mapping"),
        ("a: \x07\n", "not valid YAML"),
    ],
)
def test_what_is_not_a_yaml_mapping(tmp_path, text, words):
    path = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_settings(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*none\.yaml: No such file"):
        load_settings(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(UserError, match=r"binary\.yaml: not valid YAML"):
        load_settings(tmp_path / "binary.yaml")


def test_a_merge_key_is_not_a_duplicate(tmp_path):
    text = "ffn: {variants: {tsm: &tsm {lr: 1}, b: {<<: *tsm, lr: 2, epochs: 3}}, tfd: {separate: {}}}"
    assert load_settings(written(tmp_path, text)).ffn.variants["b"] == {"lr": 2.0, "epochs": 3}


def shuffled(value, rng: random.Random):
    """The same mapping with its keys in another order, at every depth."""
    if not isinstance(value, dict):
        return value
    items = list(value.items())
    rng.shuffle(items)
    return {key: shuffled(item, rng) for key, item in items}


names = st.text("abcdefghijklmnopqrsu0123456789_", min_size=1, max_size=6)
changes = st.fixed_dictionaries(
    {},
    optional={
        "lr": st.floats(1e-9, 10) | st.integers(1, 9),
        "epochs": st.integers(1, 10**6),
        "warmup_epochs": st.floats(0, 9) | st.integers(0, 9),
        "clip_grad": st.none() | st.floats(0.1, 9),
        "frame_counts": st.sets(st.integers(1, 32), min_size=1).map(sorted),
        "flip_labels": st.sampled_from(
            [{}, {"a": "b"}, {"b": "a", "c": "d"}, {"left": "right", "right": "left"}]
        ),
        "precision": st.sampled_from(["no", "bf16", "fp16"]),
    },
)
configurations = st.fixed_dictionaries(
    {
        "ffn": st.fixed_dictionaries(
            {"base": changes, "variants": st.dictionaries(names, changes, max_size=3)}
        )
    },
    optional={
        "seeds": st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True),
        "report": st.fixed_dictionaries({"title": st.text(max_size=9)}),
    },
).map(lambda values: {**values, "ffn": {**values["ffn"], "tfd": {"separate": {}}}})


@given(configurations, st.randoms(use_true_random=False))
def test_canonical_is_independent_of_order_and_survives_a_round_trip(values, rng):
    settings = load_settings(values)
    text = canonical(settings)
    assert canonical(load_settings(shuffled(values, rng))) == text
    assert canonical(load_settings(json.loads(text))) == text
    assert load_settings(json.loads(text)) == settings
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) == text


def test_canonical_is_compact_sorted_json():
    assert canonical(Settings().report) == '{"title":"vidkd report"}'
    assert canonical(Settings().frames) == (
        '{"decoder":"pyav","encoding":"jpeg","jpeg_quality":95,"min_frames":1,"per_video":32,"short_side":256}'
    )


def test_whole_numbers_and_numbers_are_the_same_text():
    whole, number, text = ({"ffn": {"base": {"warmup_epochs": value}}} for value in (0, 0.0, "0"))
    assert (
        canonical(load_settings(whole)) == canonical(load_settings(number)) == canonical(load_settings(text))
    )
    assert canonical(load_settings(whole)) == canonical(Settings())


def test_settings_are_light_to_import():
    code = "import sys, vidkd.config.load, vidkd.config.options, vidkd.config.generate; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "pandas", "numpy", "h5py", "av"} & set(found)


OTHERS: dict[str, dict] = {"st8": {}, "tsm": {}}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seeds": [0, 0]}, "seeds: found [0, 0]; allowed: distinct whole numbers from 0"),
        ({"seeds": [-1]}, "seeds: found [-1]; allowed: distinct whole numbers from 0"),
        ({"ffn": {"predict": {"max_count": 33}}}, "ffn.predict.max_count: 33 frames are asked"),
        (
            {"ffn": {"variants": {"st4": {}, "st8": {}, "tsm": {"frame_counts": [40]}}}},
            "ffn.variants.tsm.frame_counts: 40 frames are asked of videos stored with 32",
        ),
        (
            {"ffn": {"variants": {"st4": {"eval_frame_sampling": "dense", "frame_stride": 3}, **OTHERS}}},
            "ffn.variants.st4.frame_stride: dense clips of 16 frames span 46 of the 32 frames kept of a "
            "video: raise frames.per_video or lower it",
        ),
        (
            {"ffn": {"variants": {"st4": {"size": 300}, **OTHERS}}},
            "ffn.variants.st4.size: clips of 300 pixels of frames stored with 256: raise frames.short_side "
            "or lower it",
        ),
        ({"ffn": {"tfd": {"report_counts": [4, 20]}}}, "ffn.tfd.report_counts: [20] are above"),
        ({"ffn": {"predict": {"score_counts": [20]}}}, "ffn.predict.score_counts: [20] are above"),
        ({"results_dir": "my results"}, "results_dir: found 'my results'; allowed: letters, digits"),
        ({"results_dir": "r{x}"}, "results_dir: found 'r{x}'"),
        ({"ffn": {"base": {"crop_scales": [0]}}}, "crop_scales: found [0.0]; allowed: shares from 0.1"),
        ({"ffn": {"base": {"crop_scales": [1.5]}}}, "crop_scales: found [1.5]"),
        (
            {"ffn": {"base": {"std": [0.1, 0, 0.1]}}},
            "std: found [0.1, 0.0, 0.1]; allowed: numbers from 0.001",
        ),
        ({"ffn": {"base": {"mean": [124, 116, 104]}}}, "mean: found [124.0, 116.0, 104.0]; allowed: numbers"),
        ({"frames": {"per_video": 10**9}}, "frames.per_video: found 1000000000; allowed"),
        ({"data": {"root": ""}}, 'data.root: found ""; allowed: text'),
        (
            {"ffn": {"base": {"arch": "resnet18", "weights": "ResNet50_Weights.DEFAULT"}}},
            "weights ResNet50_Weights.DEFAULT are not of arch resnet18: change one of them",
        ),
        (
            {"ffn": {"base": {"weights": "imagenet"}}},
            "ffn.base.weights: found 'imagenet'; allowed: a torchvision name, such as",
        ),
        (
            {"ffn": {"variants": {"tsm": {"weights": "r.ckpt"}, "st4": {}, "st8": {}}}},
            "ffn.variants.tsm.weights: found 'r.ckpt'; allowed: ",
        ),
        (
            {"ffn": {"base": {"flip_labels": {"a": "b", "b": "c"}}}},
            "flip_labels: b is paired with c and with a",
        ),
        (
            {"frames": {"short_side": 200}},
            "ffn.variants.ffn.size: clips of 224 pixels of frames stored with 200",
        ),
        (
            {
                "ffn": {
                    "variants": {
                        "tsm": {},
                        "st4": {"arch": "resnet18", "init_from": "tsm"},
                        "st8": {},
                    }
                }
            },
            "ffn.variants.st4.init_from: tsm has another arch than st4",
        ),
        (
            {"ffn": {"base": {"shift": "official", "batch_size": 3}}},
            "ffn.variants.ffn.shift: official groups 16 frames",
        ),
        ({"seeds": [2**32]}, "seeds: found [4294967296]"),
        ({"compute": {"gpus": 65}}, "compute.gpus: found 65; allowed: whole number, at least 0, at most 64"),
    ],
)
def test_settings_that_would_fail_much_later(values, said):
    with pytest.raises(UserError) as refused:
        load_settings(values)
    assert said in str(refused.value)
