"""What is in a figure: its words in the file, and its axes as they were when it was saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree

from click.testing import CliRunner, Result
from matplotlib.figure import Figure

from vidkd.methods.inputs import Inputs
from vidkd.methods.needs import Needs
from vidkd.paths import sidecar
from workflow_scripts import draw as script


def words(svg: Path) -> list[str]:
    """Every text of a drawing."""
    texts = ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")
    return [element.text for element in texts if (element.text or "").strip()]


def figure_of(draw: Callable[..., None], *arguments: object) -> Figure:
    """The figure that a function saves, which is not written."""
    found: list[Figure] = []
    with mock.patch.dict(draw.__globals__, save_figure=lambda figure, *_: found.append(figure)):
        draw(*arguments, [])
    (figure,) = found
    return figure


def given(results: Mapping[str, Path | Sequence[Path]], frames: Sequence[Path] = (), **more: Any) -> Inputs:
    """What a figure is drawn of: files by name, and frames of the test split, all in one folder."""
    named = {name: [files] if isinstance(files, Path) else files for name, files in results.items()}
    found = {name: tuple(map(str, files)) for name, files in named.items()}
    stores = {"test": str(frames[0].parent)} if frames else {}
    return Inputs(Needs(results=found, frames=stores, **more))


def run(draw: str, inputs: Inputs, *figures: Path) -> Result:
    options = [f"--needs={inputs.needs.text()}", *(f"--figure={figure}" for figure in figures)]
    return CliRunner().invoke(script.main, [draw, *options])


def assert_draws_the_same_twice(draw: str, folder: Path, inputs: Inputs, names: set[str]) -> Path:
    """The script writes svg and png with their provenance and nothing else, both times the same bytes.

    Args:
        draw: module:function.
        folder: to draw in.
        inputs: what is drawn.
        names: of the inputs that the provenance names.

    Returns:
        The svg.
    """
    drawn = []
    for turn in ("first", "second"):
        figures = [folder / turn / f"figure.{kind}" for kind in ("svg", "png")]
        done = run(draw, inputs, *figures)
        assert done.exit_code == 0, done.output
        sidecars = {sidecar(str(figure)) for figure in figures}
        assert set(map(str, (folder / turn).iterdir())) == sidecars | set(map(str, figures))
        about = json.loads(Path(sidecar(str(figures[0]))).read_text())
        assert {Path(path).name for path in about["inputs"]} == names
        drawn.append([figure.read_bytes() for figure in figures])
    assert drawn[0] == drawn[1]
    assert drawn[0][1].startswith(b"\x89PNG")
    return folder / "first/figure.svg"


def assert_refused(draw: str, folder: Path, inputs: Inputs, words: str) -> None:
    """The script says so, and leaves no file."""
    done = run(draw, inputs, folder / "none/figure.svg")
    assert done.exit_code == 2, done.output
    assert words in done.output
    assert not (folder / "none").exists()
