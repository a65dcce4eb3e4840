"""Progress for a person: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TypeVar

from tqdm import tqdm

log = logging.getLogger(__name__)

LINE_EVERY_S = 30.0

Item = TypeVar("Item")


def setup_logging() -> None:
    """Plain, time-stamped lines on standard error; of several processes the main one alone tells progress."""
    level = logging.INFO if _main() else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)


def on_terminal() -> bool:
    """Whether somebody is watching."""
    return sys.stderr.isatty() and _main()


def _main() -> bool:
    """By what torchrun sets, for commands without torch log as well."""
    return os.environ.get("RANK", "0") == "0"


def progress(items: Sequence[Item], label: str) -> Iterator[Item]:
    """Yield `items`, telling how many are done, how fast, and how long the rest takes."""
    if on_terminal():
        yield from tqdm(items, desc=label)
        return
    start = told = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if time.monotonic() - told >= LINE_EVERY_S:
            told = time.monotonic()
            rate = done / (told - start)
            left = timedelta(seconds=round((len(items) - done) / rate))
            log.info("%s: %d of %d, %.1f/s, %s left", label, done, len(items), rate, left)


class Waiting:
    """How long a program has waited for what it goes through.

    Attributes:
        seconds: so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield `items`; the time until each is there counts."""
        start = time.monotonic()
        for item in items:
            self.seconds += time.monotonic() - start
            yield item
            start = time.monotonic()
