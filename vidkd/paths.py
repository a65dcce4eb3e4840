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
    def probes(self) -> RunPaths:
        """One head on the features of one backbone, for one label."""
        return RunPaths(f"{self.root}/probes/{{backbone}}.{{head}}.{{label}}/seed{{seed}}")

    @property
    def probe_table(self) -> str:
        """Table of all heads."""
        return f"{self.root}/features/probes.csv"

    @property
    def converters(self) -> RunPaths:
        """One converter, from the features of the student to those of one teacher."""
        return RunPaths(f"{self.root}/converters/{{converter}}.{{teacher}}/seed{{seed}}")

    @property
    def converted(self) -> str:
        """What one converter makes of the student's features of a split, as a feature cache."""
        return f"{self.converters.folder}/features/{{split}}/shard_0.h5"

    @property
    def converter_table(self) -> str:
        """Table of the quality of all converters."""
        return f"{self.root}/converters/quality.csv"

    @property
    def fusion(self) -> RunPaths:
        """One fusion head."""
        return RunPaths(f"{self.root}/fusion/{{fusion}}/seed{{seed}}")

    @property
    def fusion_table(self) -> str:
        """Table of all fusion heads."""
        return f"{self.root}/fusion/fusion.csv"

    @property
    def bundle(self) -> str:
        """Folder of an exported network: the student, its converters and the head, and how to run them."""
        return f"{self.root}/fusion/bundle"

    @property
    def modes(self) -> str:
        """Whether the bundle says the same of videos as of caches."""
        return f"{self.root}/fusion/modes.csv"

    @property
    def latency(self) -> str:
        """Time and parameters of the bundle, and of running its teachers."""
        return f"{self.root}/fusion/latency.csv"

    @property
    def teacher(self) -> RunPaths:
        """The head of the teacher, for one label."""
        return RunPaths(f"{self.root}/student/teacher/{{label}}")

    @property
    def teacher_table(self) -> str:
        """Table of the teacher's heads, and what the gate says of them."""
        return f"{self.root}/student/teachers.csv"

    @property
    def student(self) -> RunPaths:
        """One student."""
        return RunPaths(f"{self.root}/student/{{student}}/seed{{seed}}")

    @property
    def student_table(self) -> str:
        """Table of all students and their teacher."""
        return f"{self.root}/student/student.csv"

    @property
    def student_latency(self) -> str:
        """What a clip takes each of them."""
        return f"{self.root}/student/latency.csv"

    @property
    def exported(self) -> str:
        """Folder of an exported student."""
        return f"{self.root}/student/export"

    @property
    def trimodel_head(self) -> RunPaths:
        """The linear head of a teacher or an assistant."""
        return RunPaths(f"{self.root}/trimodel/heads/{{backbone}}")

    @property
    def trimodel_networks(self) -> str:
        """Table of teacher and assistant, and what the gate says of them."""
        return f"{self.root}/trimodel/networks.csv"

    @property
    def trimodel(self) -> RunPaths:
        """One student of a teacher and an assistant."""
        return RunPaths(f"{self.root}/trimodel/{{trimodel}}/seed{{seed}}")

    @property
    def trimodel_network(self) -> str:
        """The same in the format of transformers."""
        return f"{self.trimodel.folder}/network"

    @property
    def trimodel_table(self) -> str:
        """Table of all these students, their teacher and their assistant."""
        return f"{self.root}/trimodel/trimodel.csv"

    @property
    def trimodel_classes(self) -> str:
        """Accuracy of each class."""
        return f"{self.root}/trimodel/per_class.csv"

    @property
    def trimodel_latency(self) -> str:
        """What a clip takes and costs each of them."""
        return f"{self.root}/trimodel/latency.csv"

    @property
    def ffn(self) -> RunPaths:
        """One trained network."""
        return RunPaths(f"{self.root}/ffn/{{variant}}/seed{{seed}}")

    @property
    def tfd(self) -> str:
        """Table over the reported frame counts."""
        return f"{self.root}/ffn/tfd.csv"

    @property
    def any_frame(self) -> str:
        """Table over every frame count."""
        return f"{self.root}/ffn/any_frame.csv"

    @property
    def report_table(self) -> str:
        """A table of the report; the same beside it as md and tex."""
        return f"{self.root}/report/tables/{{table}}.csv"

    @property
    def figure(self) -> str:
        """A figure of the report; the same beside it as png."""
        return f"{self.root}/report/figures/{{figure}}.svg"

    @property
    def ffn_latency(self) -> str:
        """What a clip takes the networks: time, memory, operations."""
        return f"{self.root}/ffn/latency.csv"

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
    """The provenance file beside `artefact`."""
    return f"{artefact}.provenance.json"
