"""Say what cached features are, what made them, and whether every byte is as it was written."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.options import PATH, command
from vidkd.features.inspect import inspect_caches


@command
@click.argument("places", metavar="PATH...", nargs=-1, required=True, type=PATH)
@click.pass_context
def main(ctx: click.Context, places: tuple[Path, ...]) -> None:
    """Look at the feature shards PATH, or at all shards of each folder PATH, and verify every checksum.

    Exit status: 0 all is sound, 1 a shard is damaged, missing or unlike the others, 2 the command is wrong.
    """
    problems = 0
    for text, found in inspect_caches(places):
        click.echo(text + "\n")
        problems += found
    click.echo("all is sound" if problems == 0 else f"{problems} problems")
    ctx.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
