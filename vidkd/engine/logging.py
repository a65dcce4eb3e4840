"""Progress for a person: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import logging
import sys

LINE_EVERY_S = 30.0


def setup_logging() -> None:
    """Plain, time-stamped lines on standard error."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )


def on_terminal() -> bool:
    """Whether somebody is watching."""
    return sys.stderr.isatty()
