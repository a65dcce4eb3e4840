"""Everything in Python that the rules use; keep torch and pandas out: each cluster job reads this again."""

import json
import os
import sys
from operator import attrgetter
from pathlib import Path


def put_first(variable, folder):
    """Put `folder` before what a search path of the environment holds."""
    rest = os.environ.get(variable)
    os.environ[variable] = os.pathsep.join([str(folder), *([rest] if rest else [])])


# The project need not be installed: its own folder comes first, here and in every job.
sys.path.insert(0, str(workflow.basedir))
put_first("PYTHONPATH", workflow.basedir)
# `python` in a job is the interpreter that runs Snakemake, also when its environment is not activated;
# with --sdm conda the environment of the rule goes before it.
put_first("PATH", Path(sys.executable).parent)
# The script takes the place of the shell, which would die at once of the signal that asks a training to save its
# state: Snakemake would then take the job for ended, and a cluster kill what is still saving.
shell.prefix("set -euo pipefail; exec ")

from vidkd.config.data import SPLITS
from vidkd.config.load import canonical, load_settings
from vidkd.config.start import is_weights_file
from vidkd.data.adapters.folder import watched_folders
from vidkd.errors import UserError
from vidkd.files import check_writable
from vidkd.paths import Paths
from vidkd.provenance import code_digest


def sentence_or(make, *arguments):
    """`make(*arguments)`; a mistake of the user ends Snakemake with its sentence instead of a traceback."""
    try:
        return make(*arguments)
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2)


cfg = sentence_or(load_settings, config)
paths = Paths(cfg.results_dir)

if cfg.compute.tensorboard:  # in no rule, where it would be a reason to train anew
    os.environ.update(VIDKD_TENSORBOARD="1")

SHARDS = range(cfg.data.n_shards)


wildcard_constraints:
    split="|".join(SPLITS),
    variant="|".join([*cfg.ffn.variants, *cfg.ffn.ensembles]) or "(?!)",
    backbone="|".join(cfg.backbones) or "(?!)",
    checkpoint="|".join(cfg.checkpoints) or "(?!)",
    head="linear|attentive",
    label="|".join([*cfg.probe_labels, cfg.data.own_label, *cfg.learnt_labels]),
    converter="|".join(cfg.converters.variants) or "(?!)",
    teacher="|".join(cfg.converters.teachers) or "(?!)",
    student="|".join(cfg.student.variants) or "(?!)",
    trimodel="|".join(cfg.trimodel.variants) or "(?!)",
    fusion="|".join(cfg.fusion.variants) or "(?!)",
    shard=r"\d+",
    seed=r"\d+",


def settings(section):
    """A params function: the settings of a section (`ffn.predict`) as canonical JSON.

    A function, because Snakemake would take the braces of a plain string for wildcards.
    """
    values = canonical(attrgetter(section)(cfg))
    return lambda wildcards: values


def one_split(demo, split):
    """The settings of one split of generated videos: the sizes of the others are none of its business."""
    return json.dumps(
        demo.model_dump(mode="json", exclude=set(SPLITS) - {split}), sort_keys=True
    )


def demo_settings(wildcards):
    """The settings of one split of the demo."""
    return one_split(cfg.demo, wildcards.split)


def variant_settings(wildcards):
    """The complete settings of a variant as canonical JSON."""
    return canonical(cfg.ffn.variant(wildcards.variant))


def code(script, *more):
    """Digest of the code behind a rule: its script, what that imports, and lazily chosen modules."""
    return sentence_or(code_digest, script, *more)


def video_source():
    """What makes the videos, for the rules that read them: when only pixels change, the listing stays the same."""
    return look(cfg.demo) if cfg.data.adapter == "demo" else ""


def look(demo):
    """What decides the pixels of generated videos."""
    values = demo.model_dump(mode="json", exclude={*SPLITS, "low_label"})
    return json.dumps([values, code("workflow_scripts.generate_demo")])


def data_root():
    """Folder of the videos."""
    return paths.demo if cfg.data.adapter == "demo" else cfg.data.root


def annotations_root():
    """Folder of the annotation files."""
    if cfg.data.adapter == "demo":
        return paths.demo
    # As written, because the folder above `root` is another one where `root` is a link.
    return os.path.normpath(Path(cfg.data.root, cfg.data.annotations))


def annotations(wildcards):
    """What a listing is made from: a change of one of these lists the videos again."""
    if cfg.data.adapter == "demo":
        return expand(paths.demo_annotations, split=SPLITS)
    if cfg.data.adapter == "folder":
        found = sentence_or(watched_folders, Path(cfg.data.root))
    elif cfg.data.adapter == "xd_violence":
        found = Path(cfg.data.root).glob("**/")
    else:
        files = Path(annotations_root()).iterdir()
        found = [file for file in files if file.suffix in (".csv", ".json", ".txt")]
    # Snakemake takes braces for a wildcard and fails on names that are not UTF-8: such a folder is not watched;
    # the listing reads it, or says what is wrong with its name.
    names = sorted(map(str, found))
    return [name for name in names if name.isprintable() and "{" not in name]


def check_data():
    """Say at once what is missing; Snakemake would name its rule and input only."""
    if cfg.data.adapter == "demo":
        return
    needed = [("data.root", cfg.data.root)]
    if cfg.data.adapter not in ("folder", "xd_violence"):
        needed.append(("data.annotations", annotations_root()))
    for option, folder in needed:
        if not Path(folder).is_dir():
            raise UserError(
                f"{option}: there is no folder {folder}. Put the data set there,"
                f" or set {option}; config/README.md shows what each adapter expects."
            )
        if "{" in str(folder):
            raise UserError(f"{option}: rename {folder}: braces mean a wildcard here.")


def check_weights():
    """Say at once that a file to start from is not there; Snakemake would take finished runs as they are."""
    for name, changes in cfg.ffn.variants.items():
        source = cfg.ffn.variant(name).weights
        if source and is_weights_file(source) and not Path(source).is_file():
            option = f"ffn.variants.{name}" if "weights" in changes else "ffn.base"
            raise UserError(
                f"{option}.weights: there is no file {source}. Put it there, or correct the path."
            )


# Weights can be fetched before the data set is there, and say themselves which of them are missing.
if "download_weights" not in sys.argv:
    sentence_or(check_data)
    sentence_or(check_weights)
sentence_or(check_writable, cfg.results_dir, "results_dir")


def frames(split):
    """The frame stores of a split."""
    return expand(paths.frames, split=split, shard=SHARDS)


def each_shard(option, split):
    """A params function: `option` before each frame store of a split, as one word that bash expands.

    Files, not their folder, which may still hold shards of an earlier `n_shards`; and a word, because the names
    of a few thousand are longer than a command may be.
    """
    shards = f"{{0..{cfg.data.n_shards - 1}}}"
    files = paths.frames.replace("{split}", split).replace("{shard}", shards)
    return lambda wildcards: f"{option}={files}"


def final_output():
    """What a run is for: the page needs every table and figure."""
    return [paths.report, *exported_student()]
