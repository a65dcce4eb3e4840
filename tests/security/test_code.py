"""No line of the project reads a pickle, runs text as code, or leaves a shell to guess."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PICKLES = "vidkd/features/pickle_import.py"
WEIGHTS = {"vidkd/engine/weights.py", "vidkd/engine/checkpoint.py"}
"""Where `torch.load` stands, and nowhere else."""

RUNS_CODE = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput",
    "subprocess.getstatusoutput", "pickle.load", "pickle.loads", "yaml.full_load", "yaml.unsafe_load",
    "yaml.full_load_all", "yaml.unsafe_load_all", "yaml.load_all", "torch.hub.load", "torch.jit.load",
    "pd.read_pickle", "shutil.unpack_archive",
}  # fmt: skip
"""Calls that run what they read, or have a shell do so."""

MODULES = {"joblib", "dill", "cloudpickle", "shelve", "marshal", "tarfile", "zipfile"}
"""Modules that unpickle, or put files where an archive says."""

LOADERS = {"_UniqueKeys", "SafeLoader", "CSafeLoader"}


def dotted(node: ast.expr) -> str:
    """`a.b.c` of the expression that is called, or of a base class."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def of_call(node: ast.Call) -> Iterator[str]:
    name = dotted(node.func)
    given = {word.arg: word.value for word in node.keywords}
    constant = {name: value.value for name, value in given.items() if isinstance(value, ast.Constant)}
    if name in RUNS_CODE:
        yield name
    if name == "torch.load" and constant.get("weights_only") is not True:
        yield "torch.load without weights_only"
    if "weights_only" in given and constant.get("weights_only") is not True:
        yield "weights_only"
    if "allow_pickle" in given and constant.get("allow_pickle") is not False:
        yield "allow_pickle"
    if name == "yaml.load" and dotted(given.get("Loader", node)).split(".")[-1] not in LOADERS:
        yield "yaml.load with an unsafe loader"
    if name.startswith("subprocess.") and "shell" in given:
        yield "a shell"
    if name.endswith("Image.open") and "formats" not in given:
        yield "a picture of any kind, PostScript included"


def findings(text: str) -> Iterator[str]:
    """What is wrong with a Python text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield from of_call(node)
        elif isinstance(node, ast.ClassDef):
            yield from (name for base in node.bases if (name := dotted(base)).endswith("Unpickler"))
        elif isinstance(node, ast.keyword | ast.Dict):
            yield from trusted(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            yield from (name for name in names if name.partition(".")[0] in MODULES)
            if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "subprocess", "os", "yaml"):
                # Called by its bare name, a function of these would not be seen above.
                wanted = {f"{node.module}.{alias.name}" for alias in node.names}
                yield from sorted(wanted & {*RUNS_CODE, "pickle.Unpickler", "yaml.load"})


def trusted(node: ast.keyword | ast.Dict) -> Iterator[str]:
    """`trust_remote_code` with another value than False."""
    if isinstance(node, ast.keyword):
        pairs = [(node.arg, node.value)]
    else:
        pairs = [(getattr(key, "value", None), value) for key, value in zip(node.keys, node.values)]  # noqa: B905
    for name, value in pairs:
        if name == "trust_remote_code" and getattr(value, "value", None) is not False:
            yield "trust_remote_code"


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.load(f)", "from pickle import loads", "class U(pickle.Unpickler): pass",
        "torch.load(f)", "torch.load(f, weights_only=False)", "torch.load(f, weights_only=flag)",
        "np.load(f, allow_pickle=True)", "yaml.load(f)", "yaml.load(f, Loader=yaml.Loader)",
        "yaml.unsafe_load(f)", "eval(x)", "exec(x)", "os.system(x)", "subprocess.run(x, shell=True)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)", "options = {'trust_remote_code': True}",
        "import joblib", "from zipfile import ZipFile", "import tarfile", "PIL.Image.open(f)",
        "torch.jit.load(f)", "torch.hub.load(f, 'x')", "pd.read_pickle(f)",
    ],
)  # fmt: skip
def test_what_is_forbidden_would_be_found(text):
    assert list(findings(text))


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(f, weights_only=True)", "yaml.load(f, Loader=yaml.SafeLoader)", "model.eval()",
        "subprocess.run(['git'])", "options = {'trust_remote_code': False}", "re.compile(x)",
    ],
)  # fmt: skip
def test_what_is_allowed_is_not(text):
    assert not list(findings(text))


def python_files() -> list[Path]:
    return [file for folder in ("vidkd", "workflow_scripts") for file in (ROOT / folder).rglob("*.py")]


def test_no_module_runs_what_it_reads():
    found = {str(file.relative_to(ROOT)): list(findings(file.read_text())) for file in python_files()}
    assert len(found) > 100
    assert found.pop(PICKLES) == ["pickle.Unpickler"]
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    calls = {str(file.relative_to(ROOT)) for file in python_files() if "torch.load(" in file.read_text()}
    assert calls == WEIGHTS


def test_no_rule_runs_what_it_reads():
    """Rules are Snakemake's own language, of which the words alone are looked at."""
    forbidden = re.compile(
        r"\b((eval|exec)\(|os\.system|os\.popen|pickle|subprocess|trust_remote_code|torch\.load|yaml\.load)"
    )
    for file in (ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")):
        assert not forbidden.search(file.read_text()), file


def test_the_document_names_tests_that_exist():
    text = (ROOT / "SECURITY.md").read_text()
    files = {ROOT / name for name in re.findall(r"`(tests/[\w/]+\.py)`", text)}
    assert len(files) > 10
    defined = set(
        re.findall(r"^ *def (test_\w+)\(", "".join(file.read_text() for file in files), re.MULTILINE)
    )
    assert set(re.findall(r"`(test_\w+)`", text)) <= defined
