"""Writing `predictions.csv`: a row for each clip, with numbers that mean something."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vidkd.errors import UserError
from vidkd.files import atomic

_DIGITS = "%.9g"
"""Of scores: as many as float32 has, so that no two of them become equal."""
_SCORE = re.compile(r"s\d*_\d+$")
"""Columns of scores: `s_0`, and `s16_0` at 16 frames."""


def write_predictions(predictions: Path, columns: Mapping[str, Any]) -> None:
    """Write a row for each clip.

    Args:
        predictions: csv to write.
        columns: `video_id, label_id, pred, s_0, …`, and others.

    Raises:
        UserError: a score is NaN or infinite: as a prediction it would pass for one of the first class.
    """
    for name, values in columns.items():
        if _SCORE.match(name) and not (finite := np.isfinite(np.asarray(values, np.float64))).all():
            raise UserError(
                f"the scores of {columns['video_id'][int(finite.argmin())]} are NaN or infinite: the run's "
                "weights or its features are of no use. Train it again, with a lower lr or clip_grad."
            )
    with atomic(predictions) as temporary:
        pd.DataFrame(dict(columns)).to_csv(temporary, index=False, float_format=_DIGITS)
