from __future__ import annotations

import pytest

from vidkd.data.adapters.text import read_lines, read_table
from vidkd.errors import UserError

LINES = "path,label\n\nété/x.mp4,marché\n"
ROW = {"path": "été/x.mp4", "label": "marché"}


@pytest.mark.parametrize(
    "content",
    [
        LINES.encode(),
        LINES.replace("\n", "\r\n").encode(),
        LINES.encode("utf-8-sig"),
        LINES.replace("\n", "\r\n").encode("utf-8-sig"),
        LINES.rstrip("\n").encode(),
    ],
    ids=["plain", "windows", "mark", "mark_windows", "no_end"],
)
def test_marks_and_line_ends_are_no_part_of_the_text(tmp_path, content):
    file = tmp_path / "train.csv"
    file.write_bytes(content)
    assert list(read_lines(file)) == [("path,label", f"{file}:1"), ("été/x.mp4,marché", f"{file}:3")]
    assert list(read_table(file)) == [(ROW, f"{file}:3")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINES.encode("latin-1"), r"train\.csv:3 is not UTF-8: convert the file, as in `iconv -f LATIN1"),
        (LINES.encode("utf-16"), r"train\.csv:1 is UTF-16 or no text: convert it, as in `iconv -f UTF-16"),
        (LINES.encode("utf-16-le"), r"train\.csv:1 is UTF-16 or no text"),
        (LINES.encode("utf-16-be"), r"train\.csv:1 is UTF-16 or no text"),
        (b"a.mp4,walk\n\x00\x01", r"train\.csv:2 is UTF-16 or no text"),
    ],
    ids=["latin1", "utf16", "utf16le", "utf16be", "binary"],
)
def test_another_encoding_is_named(tmp_path, content, message):
    (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_lines(tmp_path / "train.csv"))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"train\.csv is missing: check data\.annotations"):
        list(read_lines(tmp_path / "train.csv"))
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        list(read_lines(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b\n1,"2\n3,4\n', r"t\.csv:2: unexpected end of data\. Within quotes"),
        ('a,b\n"1" x,2\n', r"t\.csv:2: ',' expected after '\"'"),
        ("a,b\n1,2\n3,4,5\n", r"t\.csv:3: expected a, b, found 3 fields: \['3', '4', '5'\]"),
    ],
)
def test_a_row_that_is_not_understood(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        list(read_table(tmp_path / "t.csv"))


def test_rows_are_counted_by_lines_of_the_file(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text('x\ty\n"1\n2"\t3\n\n4 \t 5\n6\n')
    assert list(read_table(file, "\t")) == [
        ({"x": "1\n2", "y": "3"}, f"{file}:2"),
        ({"x": "4", "y": "5"}, f"{file}:5"),
        ({"x": "6"}, f"{file}:6"),
    ]
