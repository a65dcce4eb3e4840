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
def main(a: Path, b: Path, output: Path | None) -> None:
    """Say what changed from the results folder A to the results folder B: settings, code, data, numbers."""
    page = compare(a, b)
    click.echo(page, nl=False)
    if output is not None:
        write_text(output, page)


if __name__ == "__main__":
    main()
