"""Code digests."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidkd.errors import UserError
from vidkd.provenance import LEFT_OUT, ROOT, digest_closure, serialise

MODEL = '''"""A model."""
from __future__ import annotations

import logging

from vidkd.layers import relu
from vidkd.names import NAMES as names

log = logging.getLogger(__name__)


class Model:
    """Doubles."""

    width: int = Field(3, description="Width.")

    def __init__(self, scale=None, *, bias=0.5, **rest):
        self.scale = scale

    def forward(self, x):
        """Double x."""
        log.info("doubling %s", x)
        return relu(x * 2 + 1), f"{x!r:>{self.width}}", {**names, "a": [1, -2.5, b"x", ...]}
'''
FILES = {
    "vidkd/__init__.py": "",
    "vidkd/layers.py": "def relu(x):\n    return max(x, 0)\n",
    "vidkd/names.py": "def late():\n    from vidkd.deep import late\n    return late\nNAMES = {}\n",
    "vidkd/deep/__init__.py": "from . import late\n",
    "vidkd/deep/late.py": "from ..layers import relu\nlate = relu\n",
    "vidkd/unrelated.py": "x = 1\n",
    "vidkd/errors.py": "class UserError(Exception): ...\n",
    "workflow_scripts/__init__.py": "",
    "workflow_scripts/use_model.py": "import vidkd.model as m\nfrom vidkd.errors import UserError\n",
}
SETTINGS_CLASS = '''"""Settings."""
from typing import ClassVar

from pydantic import Field

from vidkd.config.base import Section

WIDTHS = (1, 2)


class Model(Section):
    """A model."""

    RESERVED: ClassVar[dict[str, str]] = {}

    width: int = Field(3, ge=1, description="Width.")
    names: dict[str, str] = {}

    @property
    def area(self) -> int:
        """The width squared."""
        twice: int = 2
        return self.width**twice + sum(WIDTHS)
'''
IN_SETTINGS = "vidkd/methods/small/settings.py"
GOLDEN_SETTINGS = "34c7f829e5407ee01f647173ba1774601e4740d8863fbb9250b06b1da6df3edd"
GOLDEN = "cca5c7c13628ccce1ffe8974ca16489f93f21e067205ef5ae5a1cc2d24bc3b2d"


@pytest.fixture
def digest(tmp_path_factory):
    """Digest of workflow_scripts.use_model after some files of the small project were replaced."""

    def compute(changes=(), modules=("workflow_scripts.use_model",)):
        root = tmp_path_factory.mktemp("project")
        for name, text in {**FILES, "vidkd/model.py": MODEL, **dict(changes)}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return digest_closure(str(root), modules)

    return compute


def test_golden_digest(digest):
    """The same on every version of Python; a change of this figure reruns everything everywhere."""
    assert digest() == GOLDEN


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return relu", "# a comment\n        return relu"),
        ('"""Double x."""', '"""Double x, really."""'),
        ('        """Double x."""\n', ""),
        ('"""A model."""\n', ""),
        ("x * 2 + 1", "(x*2)+1"),
        ('"a"', "'a'"),
        ('log.info("doubling %s", x)', 'log.warning("twice %s", x, 1)'),
        ('        log.info("doubling %s", x)\n', ""),
        ('description="Width."', 'description="Width in pixels."'),
        ("0.5", "5e-1"),
    ],
)
def test_what_cannot_matter_leaves_the_digest(digest, old, new):
    assert old in MODEL
    assert digest({"vidkd/model.py": MODEL.replace(old, new, 1)}) == GOLDEN


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("vidkd/model.py", "x * 2", "x / 2"),
        ("vidkd/model.py", "+ 1", "+ 2"),
        ("vidkd/model.py", "+ 1", "+ 1.0"),
        ("vidkd/model.py", "-2.5", "2.5"),
        ("vidkd/model.py", "bias=0.5", "bias=None"),
        ("vidkd/model.py", "scale=None", "scale"),
        ("vidkd/model.py", "!r", ""),
        ("vidkd/model.py", "Field(3,", "Field(4,"),
        ("vidkd/layers.py", "max", "min"),
        ("vidkd/names.py", "NAMES = {}", "NAMES = {1: 2}"),
        ("vidkd/deep/late.py", "late = relu", "late = relu, 1"),
        ("vidkd/deep/__init__.py", "from . import late", "from . import late\nx = 1"),
    ],
)
def test_what_can_matter_changes_the_digest(digest, file, old, new):
    text = {**FILES, "vidkd/model.py": MODEL}[file]
    assert old in text
    assert digest({file: text.replace(old, new, 1)}) != GOLDEN


@pytest.fixture
def settings_digest(digest):
    """Digest of a module with SETTINGS_CLASS, in which `old` became `new`."""

    def compute(old="", new="", file=IN_SETTINGS):
        assert old in SETTINGS_CLASS
        module = file.removesuffix(".py").replace("/", ".")
        return digest({file: SETTINGS_CLASS.replace(old, new, 1)}, (module,))

    return compute


def test_golden_digest_of_settings(settings_digest):
    assert settings_digest() == GOLDEN_SETTINGS


FIELDS = [
    ("Field(3,", "Field(4,"),
    ("ge=1", "ge=2"),
    ("width: int", "width: float"),
    ('description="Width."', 'description="Width in pixels."'),
    ("] = {}\n\n    @", '] = {"a": "b"}\n\n    @'),
    ("    names:", "    height: int = 2\n    names:"),
]


@pytest.mark.parametrize(("old", "new"), FIELDS)
def test_fields_of_settings_leave_the_digest(settings_digest, old, new):
    """Their values reach a rule as canonical settings, which Snakemake compares."""
    assert settings_digest(old, new) == GOLDEN_SETTINGS


@pytest.mark.parametrize(("old", "new"), [pair for pair in FIELDS if "description" not in pair[0]])
@pytest.mark.parametrize("file", ["vidkd/small.py", "vidkd/config/references.py", "vidkd/settings.py"])
def test_fields_elsewhere_change_the_digest(settings_digest, file, old, new):
    assert settings_digest(old, new, file) != settings_digest(file=file)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("**twice", "*twice"),
        ("twice: int = 2", "twice: int = 3"),
        ("(1, 2)", "(1, 3)"),
        ("(Section)", "(Other)"),
        ("@property", "@cached_property"),
        ("[str, str]] = {}", '[str, str]] = {"a": "b"}'),
    ],
)
def test_code_of_settings_changes_the_digest(settings_digest, old, new):
    assert settings_digest(old, new) != GOLDEN_SETTINGS


def test_settings_imported_for_type_checkers_do_not_count(digest):
    """The code that makes settings imports them; other modules there may be loaded by name."""
    head = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "
    imported = {"vidkd/unrelated.py": f"{head}from vidkd.methods.small.settings import Model\n"}
    old, new = SETTINGS_CLASS, SETTINGS_CLASS.replace("**twice", "*twice")
    modules = ("vidkd.unrelated",)
    assert digest(imported | {IN_SETTINGS: old}, modules) == digest(imported | {IN_SETTINGS: new}, modules)
    lazy = {"vidkd/unrelated.py": f"{head}from vidkd.layers import relu\n"}
    changed = {"vidkd/layers.py": "def relu(x):\n    return x\n"}
    assert digest(lazy, modules) != digest(lazy | changed, modules)


def test_modules_outside_the_closure_do_not_count(digest):
    assert digest({"vidkd/unrelated.py": "x = 2\n"}) == GOLDEN


def test_left_out_modules_do_not_count(digest):
    assert digest({"vidkd/errors.py": "class UserError(Exception):\n    code = 2\n"}) == GOLDEN
    assert all(entry.reason for entry in LEFT_OUT)


def test_more_modules_count(digest):
    both = ("workflow_scripts.use_model", "vidkd.unrelated")
    assert digest(modules=both) != GOLDEN
    assert digest({"vidkd/unrelated.py": "x = 2\n"}, both) != digest(modules=both)


def test_a_moved_module_changes_the_digest(digest):
    elsewhere = {"vidkd/model.py": MODEL.replace("vidkd.layers", "vidkd.layers2")}
    assert digest({**elsewhere, "vidkd/layers2.py": FILES["vidkd/layers.py"]}) != GOLDEN


@pytest.mark.parametrize("module", ["workflow_scripts.use_modle", "vidkd.nothing"])
def test_unknown_module_is_named(digest, module):
    with pytest.raises(UserError, match=module):
        digest(modules=(module,))


def test_syntax_error_is_placed(digest):
    with pytest.raises(UserError, match=r"layers\.py, line 2"):
        digest({"vidkd/layers.py": "def relu(x):\n    return max(x, \n"})


EXPRESSIONS = st.recursive(
    st.one_of(
        st.integers(0, 9).map(str),
        st.floats(0, 1, allow_nan=False).map(repr),
        st.text("ab'\"é\n", max_size=3).map(repr),
        st.sampled_from(["x", "y", "None", "...", "f'{x}'", "f'{x:>{y}}z'", "lambda x: y"]),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "if x else", "<", "and"]), inner).map(
            lambda parts: f"(({parts[0]}) {parts[1]} ({parts[2]}))"
        ),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(f'({item})' for item in items)}]"),
        inner.map(lambda item: f"f(({item}), k=({item}))"),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, EXPRESSIONS)
def test_two_programs_have_one_text_exactly_when_they_are_the_same_program(left, right):
    trees = [ast.parse(f"z = {text}") for text in (left, right)]
    same = ast.unparse(trees[0]) == ast.unparse(trees[1])
    assert (serialise(trees[0]) == serialise(trees[1])) == same


@given(EXPRESSIONS)
def test_formatting_leaves_the_text(text):
    tree = ast.parse(f"z = {text}")
    assert serialise(ast.parse(ast.unparse(tree) + "  # comment\n\n'docstring'\npass")) == serialise(tree)


def test_empty_fields_of_newer_versions_are_skipped():
    """Python 3.12 added `type_params=[]` to functions and classes; 3.13 an omitted `ctx`."""
    tree = ast.parse("def f(): return 1\nclass C: x = 1")
    before = serialise(tree)
    for node in tree.body:
        node.type_params = []
        node._fields = (*type(node)._fields, "type_params")
    assert serialise(tree) == before


def test_f_strings_do_not_depend_on_how_constants_are_split():
    split = ast.JoinedStr([ast.Constant("a"), ast.Constant(""), ast.Constant("b")])
    assert serialise(split) == serialise(ast.JoinedStr([ast.Constant("ab")]))


def test_every_script_is_digested_without_what_it_imports():
    """Each job of a cluster reads the Snakefile, and with it every digest, twice more."""
    scripts = [f"workflow_scripts.{path.stem}" for path in (ROOT / "workflow_scripts").glob("[a-z]*.py")]
    program = (
        "import sys; from vidkd.provenance import code_digest;"
        f"print(len({{code_digest(script) for script in {scripts!r}}}));"
        "assert not {'torch', 'pandas', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(done.stdout) == len(scripts) >= 11
