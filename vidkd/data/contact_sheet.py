"""A contact sheet: a row of sampled frames for each video, or why there are none."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from vidkd.data.inspect import Inspection
from vidkd.files import atomic
from vidkd.video.video import Image as Pixels

SIDE = 128
"""Longest side of a frame on the sheet, in pixels."""

_GAP, _TEXT, _LINE, _LABEL, _LETTERS = 8, 11, 15, 230, 32
_INK, _PAPER, _ALARM = "black", "white", "#b00020"
_FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")  # Pillow's own has ASCII only


def write_sheet(videos: Sequence[Inspection], file: Path) -> None:
    """Draw `videos`, one a row, as a PNG.

    The path of each video is at the left, its sampled frames beside it, labelled with number and second. A
    video that cannot be used has its reason in the place of the frames.

    Args:
        videos: what was found.
        file: the image to write.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    rows = [_row(video) for video in videos]
    width = max((row.width for row in rows), default=1)
    sheet = Image.new("RGB", (width, max(1, sum(row.height for row in rows))), _PAPER)
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    with atomic(file) as temporary:
        sheet.save(temporary, "PNG")


def _row(video: Inspection) -> Image.Image:
    name = textwrap.wrap("/".join(video.name.split("/")[-2:]), _LETTERS)[:6]
    reason = textwrap.wrap(f"excluded: {video.problem}", 2 * _LETTERS) if video.problem else []
    thumbnails = [_thumbnail(image) for image in video.images]
    frames_height = max((image.height + _LINE for image in thumbnails), default=0)
    height = max(_LINE * len(name), _LINE * len(reason), frames_height) + 2 * _GAP
    row = Image.new("RGB", (_LABEL + max(3, len(thumbnails)) * (SIDE + _GAP), height), _PAPER)
    draw = ImageDraw.Draw(row)
    font = ImageFont.truetype(_FONT, _TEXT)
    draw.text((_GAP, _GAP), "\n".join(name), _INK, font)
    draw.text((_LABEL, _GAP), "\n".join(reason), _ALARM, font)
    for column, image in enumerate(thumbnails):
        left = _LABEL + column * (SIDE + _GAP)
        row.paste(image, (left, _GAP))
        draw.text((left, _GAP + image.height), _label(video, column), _INK, font)
    return row


def _thumbnail(image: Pixels) -> Image.Image:
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE))
    return small


def _label(video: Inspection, column: int) -> str:
    second = video.seconds[column]
    return str(video.index[column]) + ("" if math.isnan(second) else f"   {second:.2f} s")
