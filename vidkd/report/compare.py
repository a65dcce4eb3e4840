"""What changed between two results folders, as a page of Markdown: the first is A, the second B.

Settings, code, versions and data come from the sidecars of the files that both have
(`compare_provenance`), the numbers from the files themselves (`compare_numbers`).
"""

from __future__ import annotations

import re
from pathlib import Path

from vidkd.report.compare_folders import Folder, patterns, read_folder, shortened
from vidkd.report.compare_numbers import compare_runs, compare_tables
from vidkd.report.compare_provenance import (
    changed_code,
    changed_data,
    changed_settings,
    changed_versions,
    touched_files,
)

NONE = "No difference."

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""What a terminal would obey in place of showing it; a results folder of others may have names with it."""


def compare(one: Path, other: Path) -> str:
    """The page; every section that has nothing to say is left out.

    Raises:
        UserError: one of them is no results folder, or has predictions that cannot be read.
    """
    a, b = read_folder(one), read_folder(other)
    sections = {
        "Settings": changed_settings(a, b),
        "Code": changed_code(a, b),
        "Versions": changed_versions(a, b),
        "Data": changed_data(a, b),
        "Files": [*_only_in_one(a, b), *touched_files(a, "A"), *touched_files(b, "B")],
        "Runs": compare_runs(a, b),
        "Tables": compare_tables(a, b),
    }
    blocks = [f"# Comparison of two results folders\n\nA: `{one}`\n\nB: `{other}`"]
    blocks += [f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items() if lines]
    if not any(sections.values()):
        blocks.append(f"{NONE} {len(a.records)} files with provenance are in both.")
    return _CONTROL.sub("?", "\n\n".join(blocks)) + "\n"


def _only_in_one(a: Folder, b: Folder) -> list[str]:
    return [
        f"- only in {name}: {shortened(patterns(sorted(files)))}"
        for name, files in (("A", a.records.keys() - b.records), ("B", b.records.keys() - a.records))
        if files
    ]
