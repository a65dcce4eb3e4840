"""The one place that knows how a results folder is laid out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunPaths:
    """The files of one run of a method, all in `folder`."""

    folder: str

    @property
    def weights(self) -> str:
        """Trained weights."""
        return f"{self.folder}/model.safetensors"

    @property
    def config(self) -> str:
        """Resolved settings and class names."""
        return f"{self.folder}/config.json"

    @property
    def history(self) -> str:
        """Losses and validation accuracies, epoch by epoch."""
        return f"{self.folder}/history.csv"

    @property
    def predictions(self) -> str:
        """Predictions on the test split, one row per clip."""
        return f"{self.folder}/predictions.csv"

    @property
    def efficiency(self) -> str:
        """Parameters and operations a clip."""
        return f"{self.folder}/efficiency.json"

    @property
    def metrics(self) -> str:
        """Figures on the test split."""
        return f"{self.folder}/metrics.json"


@dataclass(frozen=True)
class Paths:
    """Every artefact below `root` as a Snakemake pattern: {split}, {shard}, {backbone} … are open."""

    root: str = "results"

    def run(self, method: str = "{method}", run: str = "{run}", seed: int | str = "{seed}") -> RunPaths:
        """The files of one run of any method."""
        return RunPaths(f"{self.root}/{method}/{run}/seed{seed}")

    def teacher(self, method: str = "{method}", teacher: str = "{teacher}") -> RunPaths:
        """The head of a frozen network that teaches a method."""
        return RunPaths(f"{self.root}/{method}/teachers/{teacher}")

    def table(self, folder: str = "{folder}", table: str = "{table}") -> str:
        """A table of a method."""
        return f"{self.root}/{folder}/{table}.csv"

    def latency(self, method: str = "{method}") -> str:
        """What a clip takes and costs the networks of a method."""
        return f"{self.root}/{method}/latency.csv"

    def exported(self, method: str = "{method}", name: str = "{export}") -> str:
        """Folder of a run with all that it needs to predict videos."""
        return f"{self.root}/{method}/{name}"

    def converted(self, method: str, run: str, seed: int | str = "{seed}", split: str = "{split}") -> str:
        """What a run makes of the features of a split, as a feature cache."""
        return f"{self.run(method, run, seed).folder}/features/{split}/shard_0.h5"

    @property
    def demo(self) -> str:
        """Folder of the demo's videos; each split has its annotation file in it and its videos below."""
        return f"{self.root}/demo"

    @property
    def demo_annotations(self) -> str:
        """Annotation file of one split of the demo."""
        return f"{self.demo}/{{split}}.csv"

    @property
    def videos(self) -> str:
        """The videos of one shard as the data set's own files list them."""
        return f"{self.root}/data/videos/shard_{{shard}}.csv"

    @property
    def classes(self) -> str:
        """Class names; a label_id is a position in them."""
        return f"{self.root}/data/classes.json"

    @property
    def probe(self) -> str:
        """The videos of one shard with what their files really contain."""
        return f"{self.root}/data/probe/shard_{{shard}}.csv"

    @property
    def manifest(self) -> str:
        """All videos."""
        return f"{self.root}/data/manifest.csv"

    @property
    def excluded(self) -> str:
        """The videos that were left out at any stage, and why."""
        return f"{self.root}/data/excluded.csv"

    @property
    def frames(self) -> str:
        """Frame store of one split and shard."""
        return f"{self.root}/frames/{{split}}/shard_{{shard}}.h5"

    @property
    def source(self) -> str:
        """Folder of the videos and frames that checkpoints are trained on, laid out as this one."""
        return f"{self.root}/source"

    @property
    def checkpoint(self) -> str:
        """Folder of one small network that the configuration trains itself."""
        return f"{self.root}/checkpoints/{{checkpoint}}"

    @property
    def checkpoint_network(self) -> str:
        """The network itself, in its library's own format."""
        return f"{self.checkpoint}/network"

    @property
    def features(self) -> str:
        """Features of one split and shard by one backbone."""
        return f"{self.root}/features/{{backbone}}/{{split}}/shard_{{shard}}.h5"

    @property
    def labels(self) -> str:
        """Another label of every video than the data set's own."""
        return f"{self.root}/data/labels/{{label}}.csv"

    @property
    def label_classes(self) -> str:
        """Its class names."""
        return f"{self.root}/data/labels/{{label}}.json"

    @property
    def modes(self) -> str:
        """Whether the bundle says the same of videos as of caches."""
        return f"{self.root}/fusion/modes.csv"

    @property
    def benchmarks(self) -> str:
        """Folder of the time and memory of all jobs."""
        return f"{self.root}/benchmarks"

    @property
    def report_table(self) -> str:
        """A table of the report; the same beside it as md and tex."""
        return f"{self.root}/report/tables/{{table}}.csv"

    @property
    def figure(self) -> str:
        """A figure of the report; the same beside it as png."""
        return f"{self.root}/report/figures/{{figure}}.svg"

    @property
    def similarity(self) -> str:
        """How like the features of student and teachers, and converted ones, are to each other."""
        return f"{self.root}/converters/similarity.csv"

    @property
    def report(self) -> str:
        """The report page."""
        return f"{self.root}/report/index.html"

    def bitmap(self, figure: str) -> str:
        """A figure as pixels."""
        return figure.removesuffix(".svg") + ".png"

    def log(self, rule: str, job: str = "all") -> str:
        """Log of one job of `rule`."""
        return f"{self.root}/logs/{rule}/{job}.log"

    def benchmark(self, rule: str, job: str = "all") -> str:
        """Time and memory of one job of `rule`."""
        return f"{self.root}/benchmarks/{rule}/{job}.tsv"


def sidecar(artefact: str) -> str:
    """Name the provenance file beside `artefact`."""
    return f"{artefact}.provenance.json"
