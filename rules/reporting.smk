"""Which figures the report has, and what they are drawn from; as in common.smk, keep torch out."""

from vidkd.config.protocols import our_protocols, protocols_text
from vidkd.report.sources import planned

report_sources = planned(cfg)

CATEGORIES = {
    "ffn": "Frame Flexible Network",
    "converters": "Converters",
    "fusion": "Fusion",
    "student": "Student",
    "trimodel": "Tri-model",
}
"""What Snakemake's report calls each method that has runs."""


wildcard_constraints:
    method="|".join(CATEGORIES),


def category(wildcards):
    """The heading below which the figure of a method stands."""
    return CATEGORIES[wildcards.method]


def figure(name):
    """The file of a figure of the report."""
    return paths.figure.format(figure=name)


def drawn_variants(method):
    """The wildcards of each variant of a method, by its name in figures."""
    if method == "converters":
        return {
            f"{converter}.{teacher}": {"converter": converter, "teacher": teacher}
            for converter in cfg.converters.variants
            for teacher in cfg.converters.teachers
        }
    wildcard = "variant" if method == "ffn" else method
    return {name: {wildcard: name} for name in getattr(cfg, method).variants}


def drawn_files(method, artefact):
    """An artefact of every run of a method: files of all seeds by variant."""
    pattern = getattr(getattr(paths, method), artefact)
    return {
        name: expand(pattern, **variant, seed=cfg.seeds)
        for name, variant in drawn_variants(method).items()
    }


def first_runs(method, artefact):
    """An artefact of every variant of a method with the first seed, by its name."""
    found = drawn_files(method, artefact)
    return {name: files[0] for name, files in found.items()}


def run_files(artefact):
    """An input function: an artefact of every run of a method."""
    return lambda wildcards: sum(drawn_files(wildcards.method, artefact).values(), [])


def run_words(artefact):
    """A params function: the same, each as VARIANT=FILE."""
    return lambda wildcards: " ".join(
        f"{name}={file}"
        for name, files in drawn_files(wildcards.method, artefact).items()
        for file in files
    )


def confused(method):
    """The predictions whose confusions are drawn, by name: those who teach, then each variant's first seed."""
    found = {}
    if method == "student":
        found["teacher"] = of_teacher(paths.teacher.predictions)
    if method == "trimodel":
        heads = both_heads(paths.trimodel_head.predictions)
        found |= zip((TRIMODEL_TEACHER, ASSISTANT), heads)
    found |= first_runs(method, "predictions")
    ensembles = cfg.ffn.ensembles if method == "ffn" else ()
    for name in ensembles:
        found[name] = paths.ffn.predictions.format(variant=name, seed=cfg.seeds[0])
    return found


def confused_words(wildcards):
    """The same, each as NAME=FILE."""
    return " ".join(
        f"{name}={file}" for name, file in confused(wildcards.method).items()
    )


def classes_of(method):
    """What the classes are called that a method tells apart."""
    labels = {"student": cfg.student_label, "trimodel": cfg.trimodel_label}
    if method not in labels:
        return paths.classes
    return paths.label_classes.format(label=labels[method])


def mistaken(method):
    """The variant whose mistakes are shown: the exported one, or what the method is for."""
    if method == "student":
        return SHOWN
    names = list(getattr(cfg, method).variants)
    if method == "fusion":
        return cfg.fusion.bundle or names[-1]
    taught = [
        name
        for name in names
        if method == "trimodel" and len(cfg.trimodel.variant(name).sources) > 1
    ]
    return (taught or names)[0]


def mistaken_predictions(wildcards):
    """Its predictions with the first seed."""
    method = wildcards.method
    return first_runs(method, "predictions")[mistaken(method)]


def each_compared_shard(option):
    """A params function: `option` before NAME=FILE of the test features of the student, then of its teachers."""
    names = (STUDENT, *cfg.converters.teachers)
    return lambda wildcards: " ".join(
        feature_word(f"{option}={name}", name, "test") for name in names
    )


def report_figures():
    """The figures that this configuration has, by name."""
    return {name: figure(name) for name in report_sources.figures}


def files_in(*folder):
    """Files of the project that are not Python, which no code digest covers."""
    found = Path(workflow.basedir, *folder).iterdir()
    return sorted(os.path.relpath(file) for file in found)


def report_tables(kind):
    """The tables of the report as csv, md or tex."""
    files = expand(paths.report_table, table=report_sources.made)
    return [str(Path(file).with_suffix(f".{kind}")) for file in files]


def shown_results():
    """The options that name what the page shows."""
    tables = [f"--table={Path(file).stem}={file}" for file in report_tables("csv")]
    figures = [f"--figure={name}={file}" for name, file in report_figures().items()]
    return " ".join([*tables, *figures])
