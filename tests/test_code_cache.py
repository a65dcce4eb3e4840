"""Digests kept between processes are those that each process would find by itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.workflow.conftest import ROOT

DIGEST = """
import ast, sys
from vidkd.provenance import digest_closure
parsed, parse = [], ast.parse
ast.parse = lambda *arguments: parsed.append(1) or parse(*arguments)
print(digest_closure(sys.argv[1], ("vidkd.a",)), len(parsed))
"""


@pytest.fixture
def modules(tmp_path):
    """Two modules of a project, one of which imports the other."""
    folder = tmp_path / "project/vidkd"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "a.py").write_text("from vidkd import b\n\n\ndef f():\n    return b.g()\n")
    (folder / "b.py").write_text("def g():\n    return 1\n")
    return folder


@pytest.fixture
def digest(tmp_path, modules):
    """A new process's digest of `a`, and how many modules it had to look at."""

    def run(cache: str) -> tuple[str, int]:
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / cache), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", DIGEST, str(modules.parent)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found, parsed = done.stdout.split()
        return found, int(parsed)

    return run


def test_a_later_process_looks_at_nothing_and_finds_the_same(digest):
    first, parsed = digest("kept")
    assert parsed == 3
    assert digest("kept") == (first, 0)
    assert digest("other") == (first, 3)


def test_a_changed_module_alone_is_looked_at_again(digest, modules):
    before, _ = digest("kept")
    (modules / "b.py").write_text("def g():\n    return 2\n")
    after, parsed = digest("kept")
    assert parsed == 1
    assert after != before
    assert digest("other")[0] == after


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1}', '{"x": ["y", 1]}', "\x00"])
def test_a_damaged_file_is_as_none(digest, tmp_path, content):
    first, _ = digest("kept")
    (tmp_path / "kept/vidkd/code.json").write_text(content)
    assert digest("kept") == (first, 3)
    assert digest("kept") == (first, 0)


def test_where_nothing_can_be_kept_nothing_is(digest, tmp_path):
    (tmp_path / "file").touch()
    assert digest("file") == digest("file")
