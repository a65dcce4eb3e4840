"""Which files are the shards of a store; what they hold is for those who open them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidkd.errors import UserError


def find_shards(places: Sequence[Path]) -> list[Path]:
    """Find frame stores: of `places`, files as they are and each `shard_*.h5` of a folder in shard order.

    Raises:
        UserError: a place does not exist, or a folder has no shard.
    """
    found: list[Path] = []
    for place in places:
        shards = (
            sorted(place.glob("shard_*.h5"), key=lambda p: (len(p.name), p.name))
            if place.is_dir()
            else [place]
        )
        if not shards or not shards[0].exists():
            raise UserError(
                f"{place}: no frame store there. Run `snakemake` first, or name its files or folder."
            )
        found += shards
    return found


def find_feature_shards(places: Sequence[Path]) -> list[Path]:
    """Find feature shards: of `places`, files as they are and each `shard_*.h5` of a folder in shard order.

    A number that a folder lacks, below the last shard or with a provenance beside it, is among them, for
    FeatureStore to name as missing. Folders of folders give the shards of each.

    Raises:
        UserError: a place does not exist, or a folder has no shard.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            folders = sorted({place, *(file.parent for file in place.glob("**/shard_*.h5"))})
            shards = [shard for folder in folders for shard in _shards_in(folder)]
        else:
            shards = [place] if place.exists() else []
        if not shards:
            raise UserError(
                f"{place}: no feature store there. Run snakemake features, or name its files or folder."
            )
        found += shards
    return found


def _shards_in(folder: Path) -> list[Path]:
    names = [file.name.removesuffix(".provenance.json") for file in folder.glob("shard_*.h5*")]
    numbers = [int(n) for name in names if (n := name[6:-3]).isdecimal()]
    return [folder / f"shard_{number}.h5" for number in range(max(numbers, default=-1) + 1)]
