"""Quality of converters against scikit-learn, numpy and the weights of the head taken by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.metrics.pairwise import cosine_similarity

from tests.evaluate.test_similarity import naive_cka
from tests.methods.converters.cached import (
    METAS,
    feature_of,
    inputs_of,
    label_of,
    make_pair,
    rows_by_id,
    video_ids,
    write_split,
)
from tests.methods.converters.trained import changed, trained
from vidkd.errors import UserError
from vidkd.features.meta import FeatureMeta
from vidkd.features.store import FeatureStore
from vidkd.methods.converters.load import load_converter
from vidkd.methods.converters.table import tabulate
from vidkd.methods.evaluate import evaluate as evaluate_run
from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs

STUDENT, TEACHER = "vjepa2", "videomae"


def with_label(backbone, video_id):
    """Features in which both networks see the label."""
    feature = feature_of(backbone, video_id)
    feature[:, label_of(video_id)] += 1.5
    return feature


def fitted(shards, folder):
    """A linear head on the teacher's own features."""
    rows = rows_by_id(shards[TEACHER]["train"])
    mean_ND, label = np.stack(list(rows.values())).mean(1), [label_of(name) for name in rows]
    mean, std = mean_ND.mean(0), mean_ND.std(0)
    head = LogisticRegression(max_iter=1000).fit((mean_ND - mean) / std, label)
    state = {"standardise.mean": mean, "standardise.std": std}
    state |= {"classifier.weight": head.coef_, "classifier.bias": head.intercept_}
    folder.mkdir()
    save_file(
        {name: np.ascontiguousarray(v, np.float32) for name, v in state.items()}, folder / "model.safetensors"
    )
    features = FeatureStore(shards[TEACHER]["train"]).meta.attributes()
    about = {"head": "linear", "settings": {}, "classes": ["ant", "bee", "cat"], "features": features}
    (folder / "config.json").write_text(json.dumps(about))
    return folder / "model.safetensors"


@pytest.fixture
def shards(tmp_path):
    return make_pair(tmp_path / "cache", feature=with_label)


@pytest.fixture
def probe(shards, tmp_path):
    return fitted(shards, tmp_path / "probe")


def evaluate(weights, shards, probe):
    metrics = weights.with_name("metrics.json")
    inputs = inputs_of(shards, {"converter": weights, "probe": probe})
    evaluate_run("converters", "small.videomae", 0, inputs, {}, metrics)
    return json.loads(metrics.read_text())


def of_head(probe, features):
    """What the head says of features (N, T, D), by its weights."""
    w = load_file(probe)
    scaled = (features.mean(1) - w["standardise.mean"]) / w["standardise.std"]
    return (scaled @ w["classifier.weight"].T + w["classifier.bias"]).argmax(1)


def test_figures_are_those_of_scikit_learn_and_numpy(shards, probe, tmp_path):
    weights = trained(shards, tmp_path / "run", changed(epochs=40, dropout=0.0, lr=1e-2))
    found = evaluate(weights, shards, probe)
    assert (found["method"], found["run"], found["seed"]) == ("converters", "small.videomae", 0)
    assert found["n_clips"] == 30
    assert (found["converter"], found["teacher"], found["student"]) == ("small", TEACHER, STUDENT)
    assert found["result_gate"] == {"passed": True, "reason": ""}
    converter = load_converter(weights)
    mean = np.mean(list(rows_by_id(shards[TEACHER]["train"]).values()), axis=0, dtype=np.float64)
    for split in ("val", "test"):
        figures, names = found["splits"][split], video_ids(split)
        real = np.stack([with_label(TEACHER, name) for name in names]).astype(np.float64)
        store = FeatureStore(shards[STUDENT][split])
        converted = converter(store.rows(store.rows_of(names))).numpy().astype(np.float64)
        constant = np.broadcast_to(mean, real.shape)
        expected = {"n_clips": len(names), "retrieval_chance": 100 / len(names)}
        for suffix, said in (("", converted), ("_mean_feature", constant)):
            flat = (x.reshape(len(names), -1) for x in (real, said))
            expected[f"r2{suffix}"] = r2_score(*flat, multioutput="variance_weighted")
            tokens = (x.reshape(-1, x.shape[2]) for x in (real, said))
            expected[f"cosine{suffix}"] = np.diag(cosine_similarity(*tokens)).mean()
        one, other = converted.mean(1) - mean.mean(0), real.mean(1) - mean.mean(0)
        expected["cka"] = naive_cka(one, other)
        seen = np.stack([with_label(STUDENT, name) for name in names]).mean(1, dtype=np.float64)
        expected["cka_student"] = naive_cka(seen - seen.mean(0), other)
        nearest = cosine_similarity(one, other).argmax(1)
        expected["retrieval_top1"] = 100 * np.mean(nearest == np.arange(len(names)))
        labels = [label_of(name) for name in names]
        expected["probe_top1"] = 100 * accuracy_score(labels, of_head(probe, converted))
        expected["probe_top1_real"] = 100 * accuracy_score(labels, of_head(probe, real))
        expected["probe_chance"] = 100 / 3
        expected["spread"] = np.sqrt(one.var(0).mean() / other.var(0).mean())
        assert figures == pytest.approx(expected, rel=1e-5)
        assert figures["r2"] > 0.3 > 0 >= figures["r2_mean_feature"]
        assert figures["probe_top1_real"] > figures["probe_top1"] > 40


def test_a_random_converter_tells_no_clip_from_another(shards, probe, tmp_path):
    figures = evaluate(trained(shards, tmp_path / "run", changed(epochs=0)), shards, probe)["splits"]["test"]
    assert figures["r2"] < figures["r2_mean_feature"] + 0.05
    assert figures["retrieval_top1"] < 20


def test_the_same_for_every_clip_is_marked_failed(shards, probe, tmp_path):
    weights = trained(shards, tmp_path / "run", changed(kind="linear", epochs=0))
    state = load_file(weights)
    save_file(
        {name: 0 * value if name.endswith("weight") else value for name, value in state.items()}, weights
    )
    found = evaluate(weights, shards, probe)
    assert found["result_gate"] == {
        "passed": False,
        "reason": "converted features are the same for every clip",
    }
    assert found["splits"]["test"]["cka"] is None
    assert "NaN" not in weights.with_name("metrics.json").read_text()
    results = {"metrics": (str(weights.with_name("metrics.json")),)}
    assert tabulate(Inputs(Needs(results=results)), {})["cka"].isna().all()


def test_two_evaluations_have_the_same_bytes(shards, probe, tmp_path):
    weights = trained(shards, tmp_path / "run")
    found = []
    for _ in range(2):
        evaluate(weights, shards, probe)
        found.append(weights.with_name("metrics.json").read_bytes())
    assert found[0] == found[1]


def test_what_does_not_belong_together_is_refused(shards, probe, tmp_path):
    weights = trained(shards, tmp_path / "run")

    def refused(words, **changes):
        with pytest.raises(UserError, match=words):
            evaluate(weights, shards | changes, probe)
        assert not weights.with_name("metrics.json").exists()

    def again(backbone, **meta):
        made = replace(METAS[backbone], **meta)
        folder = tmp_path / f"other_{len(list(tmp_path.iterdir()))}"
        return {
            s: write_split(folder / s, backbone, video_ids(s), meta=made) for s in ("train", "val", "test")
        }

    refused(
        "from other features than these of vjepa2.*weights_sha256", vjepa2=again(STUDENT, weights_sha256="9")
    )
    refused("to other features than these of videomae.*frames 4, not 8", videomae=again(TEACHER, frames=8))
    lacking = write_split(tmp_path / "less", TEACHER, video_ids("test")[2:])
    refused("videomae has no features of 2 videos", videomae=shards[TEACHER] | {"test": lacking})


def test_a_head_of_another_network_or_label_is_refused(shards, probe, tmp_path):
    weights = trained(shards, tmp_path / "run")
    config = probe.with_name("config.json")
    about = json.loads(config.read_text())
    fitted = replace(FeatureMeta.read(about["features"]), weights_sha256="9")
    config.write_text(json.dumps(about | {"features": fitted.attributes()}))
    with pytest.raises(UserError, match=r"other features than these of videomae.*weights_sha256 9, not"):
        evaluate(weights, shards, probe)
    state = load_file(probe)
    save_file({name: v[:2] if name.startswith("classifier") else v for name, v in state.items()}, probe)
    config.write_text(json.dumps(about | {"classes": ["ant", "bee"]}))
    with pytest.raises(UserError, match=r"knows 2 classes, and the features have labels from 0 to 2"):
        evaluate(weights, shards, probe)


def test_videos_that_a_cache_lacks_are_left_out_where_that_is_allowed(shards, probe, tmp_path):
    weights = trained(shards, tmp_path / "run", changed(allow_missing=True))
    lacking = write_split(tmp_path / "less", TEACHER, video_ids("test")[2:], feature=with_label)
    found = evaluate(weights, shards | {TEACHER: shards[TEACHER] | {"test": lacking}}, probe)
    assert (found["n_clips"], found["splits"]["val"]["n_clips"]) == (28, 24)
