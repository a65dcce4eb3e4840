"""Progress in a log."""

from __future__ import annotations

import itertools
import logging

import pytest

from vidkd.engine import logging as progress_logging
from vidkd.engine.logging import Waiting, progress


def test_a_log_says_how_fast_it_goes_and_what_is_left(monkeypatch, caplog):
    clock = itertools.count(0, 10)  # ten seconds an item
    monkeypatch.setattr(progress_logging, "on_terminal", lambda: False)
    monkeypatch.setattr(progress_logging.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(progress_logging, "LINE_EVERY_S", 15)
    with caplog.at_level(logging.INFO):
        assert list(progress_logging.progress("abcd", "letters")) == list("abcd")
    assert caplog.messages[0].startswith("letters: 2 of 4, 0.1/s, 0:00:")


def test_a_terminal_has_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(progress_logging, "on_terminal", lambda: True)
    assert list(progress("abcd", "letters")) == list("abcd")
    shown = capsys.readouterr().err
    assert "letters: 100%" in shown
    assert "4/4" in shown
    assert "it/s" in shown


def test_waiting_counts_the_time_until_an_item_is_there_and_no_other(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress_logging.time, "monotonic", lambda: now[0])

    def slow():
        for item in "abc":
            now[0] += 2
            yield item

    waiting = Waiting()
    for seen, _ in enumerate(waiting.each(slow()), 1):
        assert waiting.seconds == pytest.approx(2 * seen)
        now[0] += 100
    assert waiting.seconds == pytest.approx(6)
