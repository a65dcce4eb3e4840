"""Print how long and how cut up the tree is: `python -m tests.signs [FOLDER]`.

These are the signs by which the move to one road was judged, with what was asked of them. They are
consequences to look at now and then, not limits: no test holds them.
"""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

PUBLIC = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def tracked(root: Path, *patterns: str) -> list[Path]:
    """Return the files under version control that `patterns` (of git) name."""
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=root, capture_output=True, text=True, check=True
    )
    return [root / line for line in listed.stdout.splitlines()]


def n_lines(file: Path) -> int:
    return file.read_text(encoding="utf-8").count("\n")


def n_public(file: Path) -> int:
    """Return how many functions and classes stand at the top of a module without an underscore."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return sum(isinstance(node, PUBLIC) and not node.name.startswith("_") for node in body)


def n_starting(files: list[Path], *words: str) -> int:
    lines = (line for file in files for line in file.read_text(encoding="utf-8").splitlines())
    return sum(line.strip().startswith(words) for line in lines)


def signs(root: Path) -> list[tuple[str, float, str]]:
    """Return each sign as its name, its figure in this tree, and what was asked."""
    vidkd = tracked(root, "vidkd/*.py")
    scripts = tracked(root, "workflow_scripts/*.py")
    rules = tracked(root, "rules/*.smk")
    tests = tracked(root, "tests/*.py")
    lengths = [n for n in map(n_lines, vidkd) if n]
    return [
        ("lines of vidkd", sum(lengths), "<= 25500"),
        ("scripts", len(scripts), "<= 42"),
        ("lines of scripts", sum(map(n_lines, scripts)), "<= 1600"),
        ("rule files", len(rules), "<= 11"),
        ("lines of rules", sum(map(n_lines, rules)), "<= 1500"),
        (
            "rules",
            n_starting([*rules, root / "Snakefile"], "rule ", "checkpoint "),
            "<= 36",
        ),
        ("def in rules", n_starting(rules, "def "), "0"),
        ("lines of tests", sum(map(n_lines, tests)), "<= 27000"),
        (
            "public names a 1,000 lines",
            round(1000 * sum(map(n_public, vidkd)) / sum(lengths), 1),
            "<= 20",
        ),
        ("median lines of a module", statistics.median(lengths), "90-160"),
    ]


if __name__ == "__main__":
    for name, figure, asked in signs(Path(*sys.argv[1:2])):
        print(f"{name:28} {figure:>8g}   {asked}")
