"""What is in a figure: its words in the file, and its axes as they were when it was saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from unittest import mock
from xml.etree import ElementTree

import click
from click.testing import CliRunner, Result
from matplotlib.figure import Figure

from vidkd.paths import sidecar


def words(svg: Path) -> list[str]:
    """Every text of a drawing."""
    texts = ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")
    return [element.text for element in texts if (element.text or "").strip()]


@contextmanager
def saved_figures(module: ModuleType) -> Iterator[list[Figure]]:
    """The figures that a module saves, which are not written."""
    found: list[Figure] = []
    with mock.patch.object(module, "save_figure", lambda figure, *_: found.append(figure)):
        yield found


def run(command: click.Command, *options: object) -> Result:
    return CliRunner().invoke(command, list(map(str, options)))


def assert_draws_the_same_twice(
    command: click.Command, folder: Path, *options: object, inputs: set[str]
) -> Path:
    """The script writes svg and png with their provenance and nothing else, both times the same bytes.

    Returns:
        The svg.
    """
    drawn = []
    for turn in ("first", "second"):
        figures = [folder / turn / f"figure.{kind}" for kind in ("svg", "png")]
        done = run(command, *options, *(f"--figure={figure}" for figure in figures))
        assert done.exit_code == 0, done.output
        sidecars = {sidecar(str(figure)) for figure in figures}
        assert set(map(str, (folder / turn).iterdir())) == sidecars | set(map(str, figures))
        about = json.loads(Path(sidecar(str(figures[0]))).read_text())
        assert {Path(path).name for path in about["inputs"]} == inputs
        drawn.append([figure.read_bytes() for figure in figures])
    assert drawn[0] == drawn[1]
    assert drawn[0][1].startswith(b"\x89PNG")
    return folder / "first/figure.svg"


def assert_refused(command: click.Command, folder: Path, *options: object, words: str) -> None:
    """The script says so, and leaves no file."""
    done = run(command, *options, f"--figure={folder / 'none/figure.svg'}")
    assert done.exit_code == 2, done.output
    assert words in done.output
    assert not (folder / "none").exists()
