"""How like the features of a student, of its teachers, and those that are converted are to each other.

Shapes in names: B clips, N all of them, D features of whichever network.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from vidkd.engine.cpu import use_cpu
from vidkd.errors import UserError
from vidkd.evaluate.similarity import unbiased_cka
from vidkd.features.batches import FeatureJoin, FeatureSource
from vidkd.features.store import FeatureStore
from vidkd.features.tokens import checked
from vidkd.methods.converters.convert import ConvertedFeatures
from vidkd.methods.converters.load import converter_config, load_converter
from vidkd.methods.converters.settings import ConverterSettings
from vidkd.methods.inputs import Inputs


def compare_features(inputs: Inputs, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Make the table `one, other, cka` of all pairs in both orders: linear CKA of the clips' mean features.

    Args:
        inputs: test features of the student, then those of its teachers; and converters, whose features are
            called `converter(teacher)`.
        settings: nothing.

    Returns:
        CKA with six digits, empty where it is not defined.

    Raises:
        UserError: a cache cannot be used, or a converter was made for other features.
    """
    names = inputs.networks_with_features
    stores = {name: FeatureStore(inputs.features(name, "test")["test"]) for name in names}
    sources: dict[str, FeatureSource] = {**stores}
    allow_missing = False
    for (path,) in inputs.runs.values():
        config = converter_config(path)
        own = ConverterSettings.model_validate(config["settings"])
        use_cpu(own.cpu_threads)
        allow_missing |= own.allow_missing
        sources[f"{config['converter']}({config['teacher']})"] = _converted(path, config["student"], stores)
    table = _similarities(_mean_features(FeatureJoin(sources, allow_missing)))
    return table.assign(cka=table["cka"].map("{:.6f}".format, na_action="ignore"))


def _converted(weights: Path, student: str, stores: Mapping[str, FeatureStore]) -> ConvertedFeatures:
    """What a converter makes of the features of its student, which are among `stores`."""
    if student not in stores:
        raise UserError(f"{weights} converts features of {student}: give those as well")
    return ConvertedFeatures.of(stores[student], load_converter(weights), weights)


@torch.inference_mode()
def _mean_features(join: FeatureJoin) -> dict[str, Tensor]:
    """The mean (N, D) of the tokens of every clip by name, in float64."""
    found: dict[str, list[Tensor]] = {name: [] for name in join.stores}
    for batch in checked(join):
        for name, feature_BTD in batch.features.items():
            found[name].append(feature_BTD.double().mean(1))
    return {name: torch.cat(parts) for name, parts in found.items()}


def _similarities(means: Mapping[str, Tensor]) -> pd.DataFrame:
    """CKA of all pairs in both orders, also of each with itself."""
    value = {
        frozenset((one, other)): unbiased_cka(means[one], means[other])
        for one, other in combinations_with_replacement(means, 2)
    }
    rows = [(one, other, value[frozenset((one, other))]) for one, other in product(means, means)]
    return pd.DataFrame(rows, columns=["one", "other", "cka"])
