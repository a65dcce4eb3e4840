"""What made an artefact: digests of the code behind a rule, and the sidecar beside each file.

A digest covers the code that can change a result: the script of a rule and every module of the project that
it imports, without comments, formatting, docstrings, log messages and option help. Of a settings class it
covers the methods but not the fields, whose values reach a rule as canonical settings.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from vidkd import code_cache
from vidkd.config.base import canonical
from vidkd.errors import UserError
from vidkd.files import write_text
from vidkd.paths import sidecar

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("vidkd", "workflow_scripts")
_IMPORTED = time.time()


class _LeftOut(NamedTuple):
    """A module, or a package with all of its modules, that a digest does not cover."""

    module: str
    reason: str


LEFT_OUT = (
    _LeftOut(
        "vidkd.config.settings", "its parts reach rules as canonical settings, which Snakemake compares"
    ),
    _LeftOut("vidkd.config.load", "reads a file or refuses it"),
    _LeftOut("vidkd.config.options", "reads the canonical settings of a rule or refuses them"),
    _LeftOut("vidkd.config.problems", "words the errors"),
    _LeftOut("vidkd.config.describe", "describes settings for options, documents and errors"),
    _LeftOut("vidkd.config.generate", "writes the documents of the settings"),
    _LeftOut("vidkd.provenance", "describes results, never makes them"),
    _LeftOut("vidkd.code_cache", "keeps digests, never makes them"),
    _LeftOut("vidkd.paths", "a moved artefact is a new target already"),
    _LeftOut("vidkd.engine.logging", "writes to the log only"),
    _LeftOut("vidkd.methods.base", "says what steps read, which reaches a job as its needs"),
    _LeftOut("vidkd.methods.cli", "options of command lines"),
    _LeftOut("vidkd.engine.trackers", "shows the history that is written anyhow"),
    _LeftOut("vidkd.errors", "an error leaves no artefact"),
)

# Not references: its defaults stand for values that config/references.yaml leaves out.
SETTINGS = re.compile(r"vidkd\.config\.(?!references$)\w+|vidkd\.methods\.\w+\.settings")
"""Modules of settings classes; a digest does not cover their fields: type, default, limits, description."""

_LOGGERS = {"log", "logger", "logging"}
_LOG_LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_HELP_KEYWORDS = {"description", "help"}
# ctx follows from the position in the tree; kind is u"" or ""; the others hold comments only.
_IGNORED_FIELDS = {"ctx", "kind", "type_comment", "type_ignores"}


def code_digest(module: str, *more: str) -> str:
    """Digest everything inside the project that `module` and `more` import.

    `more` names entries of lazy registries, which no import statement mentions.

    Raises:
        UserError: a module does not exist, or does not parse.
    """
    return digest_closure(str(ROOT), (module, *more))


@cache
def digest_closure(root: str, modules: tuple[str, ...]) -> str:
    """Do the same for a project whose packages lie in the folder `root`."""
    for name in modules:
        if _source(root, name) is None:
            raise UserError(f"there is no module {name} in {root}: correct the code(...) of the rule")
    digest = hashlib.sha256()
    for name in sorted(_closure(root, modules)):
        digest.update(f"{name} {_module(root, name).digest}\n".encode())
    return digest.hexdigest()


class _Module(NamedTuple):
    digest: str
    imports: frozenset[str]


def _closure(root: str, modules: tuple[str, ...]) -> set[str]:
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        # A module that is not there is left to Python, which names the importing line when the job runs.
        if name in seen or _left_out(name) or _source(root, name) is None:
            continue
        seen.add(name)
        waiting.extend(_module(root, name).imports)
        waiting.extend(_parents(name))
    return seen


def _left_out(name: str) -> bool:
    return any(name == entry.module or name.startswith(f"{entry.module}.") for entry in LEFT_OUT)


def _parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:length]) for length in range(1, len(parts)))


@cache
def _source(root: str, name: str) -> Path | None:
    path = Path(root, *name.split("."))
    return next((found for found in (path.with_suffix(".py"), path / "__init__.py") if found.is_file()), None)


@cache
def _module(root: str, name: str) -> _Module:
    path = _source(root, name)
    assert path is not None
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    content = path.read_bytes()
    place = f"{name} {package}".encode()
    key = hashlib.sha256(b"%b %b %b" % (_this_program(), place, content)).hexdigest()
    known = code_cache.find(key)
    if known is None:
        try:
            tree = _without_fields(ast.parse(content), name)
        except SyntaxError as error:
            raise UserError(f"{path}, line {error.lineno}: {error.msg}") from error
        imports = {found for found in _imports(tree, package) if found.split(".")[0] in PACKAGES}
        known = hashlib.sha256(serialise(tree).encode()).hexdigest(), sorted(imports)
        code_cache.keep(key, known)
    digest, names = known
    return _Module(digest, frozenset(names))


@cache
def _this_program() -> bytes:
    return hashlib.sha256(Path(__file__).read_bytes()).digest()


def _without_fields(tree: ast.AST, module: str) -> ast.AST:
    """`tree` without the fields of settings classes, and without settings imported for type checkers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and SETTINGS.fullmatch(module):
            node.body = [item for item in node.body if not _is_field(item)]
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            # Code that is given settings does not choose their class; the code that makes them imports it.
            node.body = [item for item in node.body if not _imports_settings(item)]
    return tree


def _is_field(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and "ClassVar" not in ast.unparse(node.annotation)


def _imports_settings(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and bool(SETTINGS.fullmatch(node.module or ""))


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield source
            # Each imported name may be a module of the package `source`.
            yield from (f"{source}.{alias.name}" for alias in node.names)


def serialise(node: object) -> str:
    """Write a syntax tree as text: the same on every Python version, without what cannot matter.

    `ast.dump` would not do: versions differ in the empty fields they have and print.
    """
    if isinstance(node, ast.JoinedStr):
        return f"JoinedStr({','.join(_fstring_parts(node))})"
    if isinstance(node, ast.AST):
        fields = ((field, serialise(value)) for field, value in _fields(node))
        return f"{type(node).__name__}({','.join(f'{field}={text}' for field, text in fields)})"
    if isinstance(node, list):
        return f"[{','.join(serialise(item) for item in node)}]"
    # ascii, because what repr escapes depends on the Unicode version of the interpreter.
    return f"{type(node).__name__}:{node!a}"


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    for field, value in ast.iter_fields(node):
        if isinstance(value, list):
            value = [item for item in value if not _without_effect(item)]
        absent = value == [] or (value is None and not isinstance(node, ast.Constant))
        if field not in _IGNORED_FIELDS and not absent and not _is_empty_fstring(value):
            yield field, value


def _without_effect(node: object) -> bool:
    """Docstrings and other bare constants, `pass`, log calls, and help texts."""
    if isinstance(node, ast.keyword):
        return node.arg in _HELP_KEYWORDS
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) or _is_log_call(node.value)
    return isinstance(node, ast.Pass)


def _is_log_call(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _LOG_LEVELS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in _LOGGERS
    )


def _is_empty_fstring(node: object) -> bool:
    """An empty format specification, which only some versions of Python keep in the tree."""
    return isinstance(node, ast.JoinedStr) and not node.values


def _fstring_parts(node: ast.JoinedStr) -> Iterator[str]:
    """The parts of an f-string with neighbouring constants joined: Python versions split them differently."""
    text = ""
    for value in node.values:
        if isinstance(value, ast.Constant):
            text += str(value.value)
            continue
        if text:
            yield ascii(text)
        text = ""
        yield serialise(value)
    if text:
        yield ascii(text)


def write_sidecar(
    artefact: str | Path,
    *,
    settings: object,
    inputs: Iterable[str | Path],
    code: str,
    seed: int | None = None,
    **extra: object,
) -> None:
    """Write `<artefact>.provenance.json`: what `artefact` was made from, by what, on what, at what cost.

    Args:
        artefact: the finished file.
        settings: the validated settings that made it (a pydantic model, or anything JSON can hold).
        inputs: files that were read; folders are named without a digest.
        code: digest of the code, from `code_digest`.
        seed: seed of the run, if it has one.
        **extra: further entries.
    """
    artefact = Path(artefact)
    record = {
        "artefact": {**_stat(artefact), "sha256": file_sha256(artefact)},
        "settings": settings,
        "seed": seed,
        "inputs": {str(path): _input_sha256(Path(path)) for path in inputs},
        "code": code,
        "git": _git(),
        "packages": _packages(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": _device(),
        "wall_s": round(time.time() - _process_start(), 3),
        "peak_memory_mb": round(_peak_memory_mb(), 1),
        **extra,
    }
    write_text(sidecar(str(artefact)), json.dumps(record, indent=2, sort_keys=True, default=_plain) + "\n")


def stamp(settings: BaseModel, inputs: Iterable[str | Path], code: str, seed: int) -> str:
    """Digest all that the result of a run depends on; a resume state of another stamp is not used.

    Raises:
        UserError: an input does not exist.
    """
    parts = [canonical(settings), code, str(seed), *(str(_input_sha256(Path(path))) for path in inputs)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def file_sha256(path: str | Path) -> str:
    """Compute the SHA-256 of the bytes of a file."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _input_sha256(path: Path) -> str | None:
    """Digest of an input, from its own sidecar if that still holds: frame stores may be hundreds of GB."""
    if path.is_dir():
        return None
    if not path.exists():
        raise UserError(f"{path} does not exist: name another file, or run `snakemake {path}` first.")
    own = Path(sidecar(str(path)))
    record = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else {}
    recorded = record.get("artefact", {})
    if _stat(path).items() <= recorded.items():
        return str(recorded["sha256"])
    digest = file_sha256(path)
    if recorded.get("sha256") == digest:
        # Snakemake touches the outputs of a finished job: keep the new time, so that no later reader hashes.
        with suppress(UserError):
            write_text(
                own,
                json.dumps(record | {"artefact": recorded | _stat(path)}, indent=2, sort_keys=True) + "\n",
            )
    return digest


def _stat(path: Path) -> dict[str, int]:
    """What tells cheaply that a file was replaced."""
    found = path.stat()
    return {"bytes": found.st_size, "mtime_ns": found.st_mtime_ns}


def _plain(value: Any) -> object:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


@cache  # list_videos writes a thousand sidecars
def _git() -> dict[str, object] | None:
    def run(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    try:
        return {"commit": run("rev-parse", "HEAD"), "dirty": bool(run("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def _packages() -> dict[str, str]:
    """Versions of the project's dependencies, as far as they are installed."""
    versions = {}
    for requirement in _requirements():
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _requirements() -> list[str]:
    try:
        requires = importlib.metadata.requires("vidkd") or []
    except importlib.metadata.PackageNotFoundError:
        # In a conda environment the project is not installed but runs from its folder.
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        requires = project["dependencies"]
    return [requirement for requirement in requires if "extra ==" not in requirement]


def _device() -> str:
    """Name of the GPU if this process used one; asks torch only if it is loaded already."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch and torch.cuda.is_initialized() else "cpu"


def _process_start() -> float:
    """When this process started, in seconds since the epoch."""
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        since_boot = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
    except (OSError, AttributeError):
        return _IMPORTED


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
