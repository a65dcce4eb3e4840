"""The tables of results, read back."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def read_table(path: Path) -> pd.DataFrame:
    """A table of results; a variant is text even when it is called `nan` or `007`, an empty cell is NaN."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={"variant": str})
