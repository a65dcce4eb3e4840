"""Progress in a log."""

from __future__ import annotations

import itertools
import logging

from vidkd.engine import logging as progress_logging


def test_a_log_says_how_fast_it_goes_and_what_is_left(monkeypatch, caplog):
    clock = itertools.count(0, 10)  # ten seconds an item
    monkeypatch.setattr(progress_logging, "on_terminal", lambda: False)
    monkeypatch.setattr(progress_logging.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(progress_logging, "LINE_EVERY_S", 15)
    with caplog.at_level(logging.INFO):
        assert list(progress_logging.progress("abcd", "letters")) == list("abcd")
    assert caplog.messages[0].startswith("letters: 2 of 4, 0.1/s, 0:00:")
