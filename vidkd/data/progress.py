"""Progress of a long job: a bar on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

from vidkd.engine.logging import on_terminal

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


def progress(items: Sequence[Item], label: str, every_s: float = 10.0) -> Iterator[Item]:
    """Yield `items`, telling how many are done."""
    if on_terminal():
        yield from tqdm(items, desc=label)
        return
    told = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if time.monotonic() - told >= every_s:
            told = time.monotonic()
            logger.info("%s: %d of %d", label, done, len(items))
