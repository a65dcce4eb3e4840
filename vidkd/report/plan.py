"""Which tables and figures a report has, and what they are made of; imports neither torch nor pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from vidkd.methods.base import Figure, Method, Plan
from vidkd.methods.needs import Needs
from vidkd.report.sources import DATA, Sources

_CLIPS = (
    "Test videos, as many of each class as can be, with eight evenly spaced frames of each as networks get "
    "them."
)
_CURVES = (
    "Training of each variant of {method}: loss terms as they are added up, and validation figures, against "
    "the share of training; the mean over seeds. Where settings are swept, the trial that validation chose."
)
_CONFUSION = (
    "Of the test videos of each class (row), how many percent get which class (column): its teachers, then "
    "each variant of {method} with the first seed."
)
_MISTAKES = (
    "Test videos that get a class they do not have, the most confident first: of the variant of {method} "
    "that the figure names, with the first seed. Eight frames of each, its class, the class that it gets, "
    "and the probability of that."
)
_PER_CLASS = (
    "Recall of each class on the test split: how many percent of its videos are recognised, mean over seeds. "
    "Of more than 20 classes those are drawn that lose and that gain most against the first variant of their "
    "method."
)
_TRADEOFF = (
    "Accuracy on the test split against what it costs: the time of one clip on one thread (left) and "
    "parameters (right), on logarithmic axes. The legend says which variant a number is."
)
RULES = (
    "The rules of this run from top to bottom, coloured by the file of rules/ that they are written in. An "
    "arrow leads from a rule to one that reads its output; arrows that follow from others are pale."
)


def planned(active: Sequence[Method], plan: Plan) -> Sources:
    """List all that a configuration has results of."""
    classified = [method for method in active if method.COMPARED]
    return Sources(
        metrics=[Path(file) for method in active for file in method.every("metrics")],
        tables={"excluded": Path(plan.paths.excluded)}
        | {
            name: Path(table.path)
            for method in active
            for name, table in method.tables().items()
            if name in method.REPORTED
        },
        latency={m.NAME: Path(plan.paths.latency(m.NAME)) for m in active if m.measured},
        classes={DATA: Path(plan.classes)} | {m.NAME: Path(m.classes) for m in classified},
        baselines={m.NAME: m.baseline for m in classified if m.baseline},
        figures=tuple(["dag", *planned_figures(active, plan)]),
    )


def planned_figures(active: Sequence[Method], plan: Plan) -> dict[str, Figure]:
    """List every figure but that of the rules, by name."""
    classified = [method for method in active if method.COMPARED]
    videos = Needs(frames=plan.frames("test"), classes=plan.classes)
    figures = {"clips": _figure("clips:draw_clips", videos, _CLIPS, "Data")}
    if classified:
        table = {"table": (plan.paths.report_table.format(table="per_class"),)}
        figures["per_class"] = _figure(
            "per_class:draw_per_class", Needs(results=table), _PER_CLASS, "Summary"
        )
    if classified and any(method.measured for method in active):
        table = {"table": (plan.paths.report_table.format(table="efficiency"),)}
        figures["tradeoff"] = _figure("tradeoff:draw_tradeoff", Needs(results=table), _TRADEOFF, "Summary")
    for method in active:
        own = method.figures().items()
        figures |= {name: figure.model_copy(update={"category": method.TITLE}) for name, figure in own}
    for method in active:
        if method.CURVES:
            words = _CURVES.format(method=method.TITLE)
            figures[f"curves_{method.NAME}"] = _figure(
                "curves:draw_curves", _runs(method), words, method.TITLE
            )
    for method in classified:
        needs = Needs(
            results={name: (file,) for name, file in method.confused().items()}, classes=method.classes
        )
        words = _CONFUSION.format(method=method.TITLE)
        figures[f"confusion_{method.NAME}"] = _figure("confusion:draw_confusion", needs, words, method.TITLE)
    for method in classified:
        words = _MISTAKES.format(method=method.TITLE)
        needs = _mistakes(method)
        figures[f"mistakes_{method.NAME}"] = _figure("clips:draw_mistakes", needs, words, method.TITLE)
    return figures


def drawn_of(active: Sequence[Method], plan: Plan) -> dict[str, list[str]]:
    """List the files that each figure is drawn of, and those that its tables are made of."""
    sources = planned(active, plan)
    made = {table.path: table.needs.files() for method in active for table in method.tables().values()}
    made |= {
        plan.paths.report_table.format(table=name): list(map(str, sources.files)) for name in sources.made
    }
    own = {name: figure.needs.files() for name, figure in planned_figures(active, plan).items()}
    return {"dag": []} | {
        name: [*files, *(below for file in files for below in made.get(file, ()))]
        for name, files in own.items()
    }


def captions(figures: dict[str, Figure]) -> dict[str, str]:
    """Say what each figure shows, that of the rules included."""
    return {"dag": RULES} | {name: figure.caption for name, figure in figures.items()}


def _figure(draw: str, needs: Needs, caption: str, category: str) -> Figure:
    return Figure(draw=f"vidkd.report.{draw}", needs=needs, caption=caption, category=category)


def _runs(method: Method) -> Needs:
    """The history of each training; its configuration is read beside its weights."""
    trained = [(run, method.of_run(run, seed)) for run in method.trained() for seed in method.seeds(run)]
    names: Iterable[str] = dict.fromkeys(run for run, _ in trained)
    return Needs(
        results={name: tuple(paths.history for run, paths in trained if run == name) for name in names},
        weights={name: tuple(paths.weights for run, paths in trained if run == name) for name in names},
    )


def _mistakes(method: Method) -> Needs:
    run = method.shown_run()
    predictions = method.of_run(run, method.seeds(run)[0]).predictions
    return Needs(frames=method.plan.frames("test"), classes=method.classes, results={run: (predictions,)})
