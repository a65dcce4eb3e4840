"""What changed between two results folders."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import PATH, command
from vidkd.files import write_text
from vidkd.report.compare import compare


@command
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("--output", type=PATH, help="Markdown file to write it to as well.")
@click.option(
    "--tolerance", type=click.FloatRange(0, 1), default=0.0, show_default=True,
    help="Share of its value by which a number in a table may differ.",
)  # fmt: skip
def main(a: Path, b: Path, output: Path | None, tolerance: float) -> None:
    """Say what changed from the results folder A to the results folder B: settings, code, bytes, tables."""
    page = compare(a, b, tolerance)
    click.echo(page, nl=False)
    if output is not None:
        write_text(output, page)


if __name__ == "__main__":
    main()
