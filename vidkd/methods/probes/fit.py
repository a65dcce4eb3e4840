"""Fit one head on the features of one network, for one label: fit, choose on validation, report test once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vidkd.methods.probes.predict import predict
from vidkd.methods.probes.registry import find_fit
from vidkd.methods.probes.rows import open_rows
from vidkd.methods.probes.settings import HeadSettings


def fit_probe(
    settings: HeadSettings,
    shards: Mapping[str, Sequence[Path]],
    classes_json: Path,
    labels_csv: Path | None,
    run_dir: Path,
    about: dict[str, object],
    *,
    seed: int,
    stamp: str,
) -> None:
    """Write `model.safetensors`, `config.json`, `history.csv` and `predictions.csv` into `run_dir`.

    Args:
        settings: of all heads.
        shards: feature shards by split.
        classes_json: class names of the label.
        labels_csv: another label than the features have.
        run_dir: folder of the run.
        about: `head`, `backbone` and `label`, by name.
        seed: of the run.
        stamp: digest of all that the result depends on.

    Raises:
        UserError: the features or labels cannot be used, or the loss diverged.
    """
    rows = open_rows(shards, classes_json, labels_csv)
    (features,) = rows.train.stores.values()
    about = {**about, "features": features.meta.attributes()}
    find_fit(str(about["head"]))(settings, rows, run_dir, about, seed=seed, stamp=stamp)
    predict(run_dir / "model.safetensors", rows.test, run_dir / "predictions.csv")
