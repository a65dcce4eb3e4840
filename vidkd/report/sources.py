"""What the report is made of: files of the results folder, by what they are.

The Snakefile reads it: it imports neither torch nor pandas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DATA = "data"
"""What the data set's own classes are called among the classes of methods."""


@dataclass(frozen=True)
class Sources:
    """Files that tables of the report are made of.

    Attributes:
        metrics: `metrics.json` of every run; methods and variants are in their order.
        tables: tables that are there already, by their name in the report.
        latency: what a clip takes each network, by method.
        classes: class names, by method, whose runs are in the summary; `data`: of the data set itself.
        baselines: the variant that others are compared with, by method.
        figures: the figures of the report that are drawn of them, by name.
    """

    metrics: Sequence[Path] = ()
    tables: Mapping[str, Path] = field(default_factory=dict)
    latency: Mapping[str, Path] = field(default_factory=dict)
    classes: Mapping[str, Path] = field(default_factory=dict)
    baselines: Mapping[str, str] = field(default_factory=dict)
    figures: Sequence[str] = ()

    @property
    def compared(self) -> list[Path]:
        """The metrics of methods that the summary has; predictions are beside them."""
        return [path for path in self.metrics if _method_of(path) in self.classes]

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
    def words(self) -> Iterator[str]:
        """The command line of `tabulate_report` that names them."""
        named = {"table": self.tables, "latency": self.latency, "classes": self.classes}
        for option, values in {**named, "baseline": self.baselines}.items():
            yield from (f"--{option}={name}={value}" for name, value in values.items())
        yield from map(str, self.metrics)

    def there(self) -> Sources:
        """Keep those that exist."""

        def existing(named: Mapping[str, Path]) -> dict[str, Path]:
            return {name: path for name, path in named.items() if path.is_file()}

        classes = existing(self.classes)
        metrics = [
            path
            for path in self.metrics
            if path.is_file() and (_method_of(path) not in classes or _predictions(path).is_file())
        ]
        # Runs are compared seed by seed.
        alike = {method: name for method, name in self.baselines.items() if _same_seeds(metrics, method)}
        tables, latency = existing(self.tables), existing(self.latency)
        return Sources(metrics, tables, latency, classes, alike, self.figures)


def missing(plan: Sources, there: Sources, figures: Sequence[Path], config: Path) -> list[str]:
    """Say what of the plan of a configuration is not there, a sentence for each method and each table.

    Args:
        plan: all of it.
        there: what of it is there.
        figures: those that are there.
        config: its file.
    """
    found = []
    for method in dict.fromkeys(map(_method_of, plan.metrics)):
        runs = [path for path in plan.metrics if _method_of(path) == method]
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


def current_figures(folder: Path, figures: Mapping[str, Sequence[str]]) -> list[Path]:
    """Find the figures in a folder that are no older than what they are drawn of.

    Args:
        folder: of the figures.
        figures: the files that each is drawn of, by name.
    """
    found = []
    for path, files in ((folder / f"{name}.svg", files) for name, files in figures.items()):
        newest = max((Path(file).stat().st_mtime for file in files if Path(file).exists()), default=0.0)
        if path.is_file() and path.stat().st_mtime >= newest:
            found.append(path)
    return found


def _method_of(metrics: Path) -> str:
    """The method of a run, which lies in `METHOD/VARIANT/seedK/`."""
    return metrics.parts[-4]


def _same_seeds(metrics: Sequence[Path], method: str) -> bool:
    """Whether every variant of a method has runs of the same seeds."""
    seeds: dict[str, set[str]] = {}
    for path in metrics:
        if _method_of(path) == method:
            seeds.setdefault(path.parts[-3], set()).add(path.parts[-2])
    return all(of == next(iter(seeds.values())) for of in seeds.values())


def _predictions(metrics: Path) -> Path:
    return metrics.with_name("predictions.csv")
