"""What the report is made of: files of the results folder, by what they are.

The Snakefile reads it: it imports neither torch nor pandas.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from vidkd.config.settings import Settings
from vidkd.paths import Paths, RunPaths


@dataclass(frozen=True)
class Sources:
    """Files that tables of the report are made of.

    Attributes:
        metrics: `metrics.json` of every run; methods and variants are in their order.
        tables: tables that are there already, by their name in the report.
        latency: what a clip takes each network, by method.
        classes: class names, by method, whose runs are in the summary; `data`: of the data set itself.
        baselines: the variant that others are compared with, by method.
    """

    metrics: Sequence[Path] = ()
    tables: Mapping[str, Path] = field(default_factory=dict)
    latency: Mapping[str, Path] = field(default_factory=dict)
    classes: Mapping[str, Path] = field(default_factory=dict)
    baselines: Mapping[str, str] = field(default_factory=dict)

    @property
    def compared(self) -> list[Path]:
        """The metrics of methods that the summary has; predictions are beside them."""
        return [path for path in self.metrics if method_of(path) in self.classes]

    @property
    def files(self) -> list[Path]:
        """All of them, predictions included."""
        beside = [_predictions(path) for path in self.compared]
        named = [*self.tables.values(), *self.latency.values(), *self.classes.values()]
        return [*self.metrics, *beside, *dict.fromkeys(named)]

    @property
    def made(self) -> list[str]:
        """The tables of the report that are made of them, by name."""
        derived = ["references", "gates", "provenance", "settings", "wall_time"]
        of_runs = ["summary", "per_class", *(["efficiency"] if self.latency else [])]
        return [*self.tables, *derived, *(of_runs if self.compared else [])]

    @property
    def figures(self) -> list[str]:
        """The figures of the report that are drawn of them, by name."""
        methods = [name for name in _FIGURES if any(method_of(path) == name for path in self.metrics)]
        named = [name for method in methods for name in _FIGURES[method]]
        curves = [f"curves_{method}" for method in methods]
        told_apart = [method for method in methods if method in self.classes]
        kinds = [f"{kind}_{method}" for kind in ("confusion", "mistakes") for method in told_apart]
        of_runs = ["per_class", *(["tradeoff"] if self.latency else [])] if self.compared else []
        return ["dag", "clips", *of_runs, *named, *curves, *kinds]

    @property
    def words(self) -> Iterator[str]:
        """The command line of `tabulate_report` that names them."""
        named = {"table": self.tables, "latency": self.latency, "classes": self.classes}
        for option, values in {**named, "baseline": self.baselines}.items():
            yield from (f"--{option}={name}={value}" for name, value in values.items())
        yield from map(str, self.metrics)

    def there(self) -> Sources:
        """Those that exist."""

        def existing(named: Mapping[str, Path]) -> dict[str, Path]:
            return {name: path for name, path in named.items() if path.is_file()}

        classes = existing(self.classes)
        metrics = [
            path
            for path in self.metrics
            if path.is_file() and (method_of(path) not in classes or _predictions(path).is_file())
        ]
        # Runs are compared seed by seed.
        alike = {method: name for method, name in self.baselines.items() if _same_seeds(metrics, method)}
        tables, latency = existing(self.tables), existing(self.latency)
        return Sources(metrics, tables, latency, classes, alike)


def missing(plan: Sources, there: Sources, figures: Sequence[Path], config: Path) -> list[str]:
    """What of the plan of a configuration is not there, a sentence for each method and each table.

    Args:
        plan: all of it.
        there: what of it is there.
        figures: those that are there.
        config: its file.
    """
    found = []
    for method in dict.fromkeys(map(method_of, plan.metrics)):
        runs = [path for path in plan.metrics if method_of(path) == method]
        if waiting := [path for path in runs if path not in there.metrics]:
            done = len(runs) - len(waiting)
            found.append(f"{method}: {done} of {len(runs)} runs are evaluated; not yet {waiting[0].parent}")
            if done and method in plan.baselines and method not in there.baselines:
                found.append(f"{method}: its variants have other seeds as yet, and are not compared")
    tables = [*plan.tables.values(), *plan.latency.values()]
    given = {*there.tables.values(), *there.latency.values()}
    command = "snakemake --cores all {} --configfile " + str(config)
    found += [f"{path}: not made yet; {command.format(path)}" for path in tables if path not in given]
    drawn = {path.stem for path in figures}
    if left := [name for name in plan.figures if name not in drawn]:
        found.append(f"figures that are not drawn yet, or older than their runs: {', '.join(left)}")
    return found


def current_figures(folder: Path, names: Sequence[str], metrics: Sequence[Path]) -> list[Path]:
    """Of the figures of these names those that are in a folder, and no older than their runs."""
    runs: dict[str, list[Path]] = {}
    for path in metrics:
        runs.setdefault(method_of(path), []).append(path)
    found = []
    for figure in (path for name in names if (path := folder / f"{name}.svg").is_file()):
        own = _OF.get(figure.stem) or figure.stem.rpartition("_")[2]
        drawn = metrics if own == _ALL else runs.get(own, [])
        made = max((path.stat().st_mtime for path in drawn), default=math.inf)
        if own == _NONE or figure.stat().st_mtime >= made:
            found.append(figure)
    return found


def method_of(metrics: Path) -> str:
    """The method of a run, which lies in `METHOD/VARIANT/seedK/`."""
    return metrics.parts[-4]


def planned(settings: Settings) -> Sources:
    """All that a configuration has results of."""
    paths = Paths(settings.results_dir)
    parts = [_ffn(settings, paths)] if settings.ffn.variants else []
    parts.append(_data(paths))
    if settings.backbones and settings.probes.heads:
        parts.append(_probes(settings, paths))
    if settings.converters.student is not None:
        parts += [_converters(settings, paths), _fusion(settings, paths)]
    if settings.student.teacher.backbone is not None:
        parts.append(_student(settings, paths))
    if settings.trimodel.teacher is not None:
        parts.append(_trimodel(settings, paths))
    return Sources(
        [path for part in parts for path in part.metrics],
        *({k: v for part in parts for k, v in getattr(part, name).items()} for name in _NAMED),
    )


_FIGURES = {
    "ffn": ["tfd"],
    "converters": ["converters", "similarity"],
    "fusion": ["fusion"],
    "student": ["attention_student"],
    "trimodel": [],
}
"""Methods that have training curves, and the figures that each has by itself."""

_ALL, _NONE = "all", "none"
_OF = {
    "tfd": "ffn",
    "similarity": "converters",
    "tradeoff": _ALL,
    "per_class": _ALL,
    "dag": _NONE,
    "clips": _NONE,
}
"""The method of a figure whose name does not end in it."""

_NAMED = ("tables", "latency", "classes", "baselines")


def _runs(paths: RunPaths, seeds: Sequence[int], **names: Sequence[str]) -> list[Path]:
    """`metrics.json` of every combination of names with every seed."""
    return [
        Path(paths.metrics.format(**dict(zip(names, chosen, strict=True)), seed=seed))
        for chosen in product(*names.values())
        for seed in seeds
    ]


def _data(paths: Paths) -> Sources:
    return Sources(tables=_files({"excluded": paths.excluded}), classes=_files({"data": paths.classes}))


def _ffn(settings: Settings, paths: Paths) -> Sources:
    names = [*settings.ffn.variants, *settings.ffn.ensembles]
    tables = {"tfd": paths.tfd, "any_frame": paths.any_frame}
    separate = settings.ffn.tfd.separate.get(max(settings.ffn.tfd.report_counts))
    return Sources(
        _runs(paths.ffn, settings.seeds, variant=names),
        _files(tables),
        _files({"ffn": paths.ffn_latency}),
        _files({"ffn": paths.classes}),
        {"ffn": separate} if separate else {},
    )


def _probes(settings: Settings, paths: Paths) -> Sources:
    # Only the attentive head depends on the seed.
    seeds = {"linear": settings.seeds[:1], "attentive": settings.seeds}
    labels = settings.probe_labels
    metrics = [
        path
        for backbone, head in product(settings.backbones, settings.probes.heads)
        for path in _runs(paths.probes, seeds[head], backbone=[backbone], head=[head], label=labels)
    ]
    return Sources(metrics, _files({"probes": paths.probe_table}))


def _converters(settings: Settings, paths: Paths) -> Sources:
    experiment = settings.converters
    metrics = _runs(
        paths.converters,
        settings.seeds,
        converter=list(experiment.variants),
        teacher=experiment.teachers,
    )
    return Sources(metrics, _files({"converters": paths.converter_table}))


def _fusion(settings: Settings, paths: Paths) -> Sources:
    bundle = bool(settings.fusion.bundle)
    tables = {"fusion": paths.fusion_table} | ({"modes": paths.modes} if bundle else {})
    return Sources(
        _runs(paths.fusion, settings.seeds, fusion=list(settings.fusion.variants)),
        _files(tables),
        _files({"fusion": paths.latency} if bundle else {}),
        _files({"fusion": paths.classes}),
        {"fusion": settings.fusion.baseline},
    )


def _student(settings: Settings, paths: Paths) -> Sources:
    return Sources(
        _runs(paths.student, settings.seeds, student=list(settings.student.variants)),
        _files({"student": paths.student_table, "teachers": paths.teacher_table}),
        _files({"student": paths.student_latency}),
        _files({"student": paths.label_classes.format(label=settings.student_label)}),
        {"student": settings.student.baseline},
    )


def _trimodel(settings: Settings, paths: Paths) -> Sources:
    return Sources(
        _runs(paths.trimodel, settings.seeds, trimodel=list(settings.trimodel.variants)),
        _files({"trimodel": paths.trimodel_table, "networks": paths.trimodel_networks}),
        _files({"trimodel": paths.trimodel_latency}),
        _files({"trimodel": paths.label_classes.format(label=settings.trimodel_label)}),
        {"trimodel": settings.trimodel.baseline},
    )


def _files(named: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(path) for name, path in named.items()}


def _same_seeds(metrics: Sequence[Path], method: str) -> bool:
    """Whether every variant of a method has runs of the same seeds."""
    seeds: dict[str, set[str]] = {}
    for path in metrics:
        if method_of(path) == method:
            seeds.setdefault(path.parts[-3], set()).add(path.parts[-2])
    return all(of == next(iter(seeds.values())) for of in seeds.values())


def _predictions(metrics: Path) -> Path:
    return metrics.with_name("predictions.csv")
