"""Digests of the code behind a rule, which decide with its settings and inputs whether it runs again.

A digest covers the code that can change a result: the script of a rule and every module of the project that
it imports, without comments, formatting, docstrings, log messages and option help. Of a settings class it
covers the methods but not the fields, whose values reach a rule as canonical settings.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from vidkd import code_cache
from vidkd.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("vidkd", "workflow_scripts")


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
    _LeftOut("vidkd.artefacts", "describes results and refuses damaged ones, never makes them"),
    _LeftOut("vidkd.code_cache", "keeps digests, never makes them"),
    _LeftOut("vidkd.paths", "a moved artefact is a new target already"),
    _LeftOut("vidkd.engine.logging", "writes to the log only"),
    _LeftOut("vidkd.methods.base", "says what steps read, which reaches a job as its needs"),
    _LeftOut("vidkd.methods.needs", "what a job reads, given to it as a parameter"),
    _LeftOut("vidkd.methods.cli", "options of command lines"),
    _LeftOut("vidkd.engine.trackers", "shows the history that is written anyhow"),
    _LeftOut("vidkd.registry", "says where a method is, which a rule names"),
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
