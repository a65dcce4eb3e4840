"""Say what videos are, what would be sampled of them, and why one would be excluded."""

from __future__ import annotations

from pathlib import Path

import click

from vidkd.config.data import FrameSettings
from vidkd.config.options import PATH, command
from vidkd.data.inspect import SIDE, describe, inspect_video, videos_at, write_sheet

_MOST_ROWS = 500
_SHEET = click.Path(dir_okay=False, path_type=Path)


@command
@click.option("--per-video", type=click.IntRange(1, 64), default=8, help="Frames sampled of each video.")
@click.option("--min-frames", type=click.IntRange(1), default=1, help="A video with fewer is excluded.")
@click.option("--sheet", type=_SHEET, help=f"Write a contact sheet (png) of the first {_MOST_ROWS} videos.")
@click.argument("places", metavar="PATH...", nargs=-1, required=True, type=PATH)
@click.pass_context
def main(
    ctx: click.Context, per_video: int, min_frames: int, sheet: Path | None, places: tuple[Path, ...]
) -> None:
    """Look at each video PATH, or at all videos of each folder PATH, as a run would.

    A video may also be a folder of images, or the common beginning X of the images X_frame_00.jpg and so on.

    Exit status: 0 all videos are usable, 1 one or more would be excluded, 2 the command is wrong.
    """
    settings = FrameSettings(per_video=per_video, min_frames=min_frames, short_side=SIDE)
    total, excluded, shown = 0, 0, []
    for path in (path for place in places for path in videos_at(place)):
        video = inspect_video(path, settings)
        click.echo(describe(video) + "\n")
        total, excluded = total + 1, excluded + (video.problem is not None)
        shown += [video] if sheet and len(shown) < _MOST_ROWS else []
    if sheet:
        write_sheet(shown, sheet)
        click.echo(f"contact sheet: {sheet}")
    click.echo(f"{total - excluded} of {total} videos are usable")
    ctx.exit(1 if excluded else 0)


if __name__ == "__main__":
    main()
