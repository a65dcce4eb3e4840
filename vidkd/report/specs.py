"""The tables of the report: what each shows of its csv, and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vidkd.report.cells import Column

VARIANT = Column("variant", "variant")
METHOD = Column("method", "method")
TOP1 = Column("top1", "top-1", best="high")
INTERVAL = Column("low", "95% interval", to="high")
GAIN = Column("delta", "gain")
GAIN_INTERVAL = Column("delta_low", "95% of gain", to="delta_high")
P_HOLM = Column("p_holm", "p, Holm")
PARAMS = Column("params", "parameters")
GFLOPS = Column("gflops", "GFLOPs")
TIMES = (Column(r"ms_(\d+)", "ms, threads: {}"),)
CLASS_FIGURES = (
    Column("mean_class", "mean class", best="high"),
    Column("f1", "F1", best="high"),
    Column("ap", "AP", best="high"),
)


@dataclass(frozen=True)
class Spec:
    """What a table of the report is.

    Attributes:
        title: its heading.
        about: what its columns mean.
        columns: that are shown of the csv; none: all.
        group: column within whose values the best is looked for; None: in the whole table.
        only: a column, and the value that it has in the rows that are shown; the csv has all.
    """

    title: str
    about: str
    columns: Sequence[Column] = field(default=())
    group: str | None = None
    only: tuple[str, str] | None = None


SPECS = {
    "summary": Spec(
        "Summary of all methods",
        "On the test split, accuracies in percent, mean ± standard deviation over seeds. The interval is of "
        "top-1, Wilson's over clips. F1 is the mean over classes; AP is the mean over classes of the average "
        "precision (of all classes of a clip where its predictions carry several); ECE is the expected "
        "calibration error (15 bins). The gain over the baseline of the method is in points of top-1 on the "
        "same clips and seeds, its interval a bootstrap over clips; p is of a permutation test over clips, "
        "with one seed McNemar's, corrected for the rows of the method (Holm). They speak of other clips; "
        "what another seed changes is after ±.",
        (
            METHOD,
            VARIANT,
            Column("frames", "frames"),
            Column("seeds", "seeds"),
            TOP1,
            INTERVAL,
            Column("top5", "top-5", best="high"),
            *CLASS_FIGURES,
            Column("f1_weighted", "weighted F1", best="high"),
            Column("ece", "ECE", best="low"),
            Column("baseline", "baseline"),
            GAIN,
            GAIN_INTERVAL,
            Column("p", "p"),
            P_HOLM,
        ),
        group="method",
    ),
    "efficiency": Spec(
        "What a clip costs",
        "GFLOPs count one multiply-add as one operation; size is of the weights on disk; peak memory is of "
        "one clip, beyond weights and input; times are the median of one decoded clip on as many threads of"
        " a CPU. For fusion the exported network, in brackets its parts and the teachers it does without.",
        (
            METHOD,
            VARIANT,
            Column("frames", "frames"),
            PARAMS,
            GFLOPS,
            Column("size_mb", "size, MB"),
            Column("peak_mb", "peak memory, MB"),
            *TIMES,
            Column("top1", "top-1"),
        ),
    ),
    "tfd": Spec(
        "Frame Flexible Network: temporal frequency deviation",
        "Top-1 in percent by frames seen at test time. The gap is accuracy at the most frames minus "
        "accuracy at the fewest; the deviation is how far a variant falls below separate training (row st) "
        "at the same count: below zero it is above.",
        (
            VARIANT,
            Column("seeds", "seeds"),
            Column(r"acc_(\d+)f", "{} frames", best="high"),
            Column("tfd_gap", "gap"),
            Column(r"dev_(\d+)f", "deviation, {}", best="low"),
            PARAMS,
            Column(r"gflops_(\d+)f", "GFLOPs, {}"),
        ),
    ),
    "any_frame": Spec(
        "Every frame count",
        "Top-1 in percent by frames seen at test time, mean over seeds.",
        (VARIANT, Column(r"acc_(\d+)f", "{}", best="high")),
    ),
    "probes": Spec(
        "Heads on the features of frozen networks",
        "Top-1 in percent. Chance is the share of the largest class. Pairs is how often a video of two "
        "classes that differ in the order of frames only gets the higher score for its own: 50 without "
        "order.",
        (
            Column("backbone", "network"),
            Column("head", "head"),
            Column("label", "label"),
            TOP1,
            INTERVAL,
            Column("chance", "chance"),
            Column("pairs", "pairs", best="high"),
            PARAMS,
        ),
        group="label",
    ),
    "converters": Spec(
        "Converters: from the student's features to each teacher's",
        "On the test split. R² is the share of the variance over videos of the teacher's features that "
        "converted ones explain, cosine the mean over their tokens; beside each what the teacher's mean "
        "feature has, said of every video. CKA is the linear alignment of mean tokens (unbiased), beside it"
        " that of the student's own features. Retrieval is how often the teacher's nearest feature is of "
        "the same video; probe is the accuracy of a linear head fitted on the teacher's own features on "
        "converted ones, beside it on its own; both in percent.",
        (
            Column("converter", "converter"),
            Column("teacher", "teacher"),
            Column("r2", "R²", best="high"),
            Column("r2_mean_feature", "mean feature"),
            Column("cosine", "cosine", best="high"),
            Column("cosine_mean_feature", "mean feature"),
            Column("cka", "CKA", best="high"),
            Column("cka_student", "student's own"),
            Column("retrieval_top1", "retrieval", best="high"),
            Column("probe_top1", "probe", best="high"),
            Column("probe_top1_real", "on its own"),
            PARAMS,
        ),
        group="teacher",
        only=("split", "test"),
    ),
    "fusion": Spec(
        "Fusion: what teachers add to the student",
        "Top-1 in percent. The gain over the baseline is in points on the same clips and seeds, by a "
        "permutation test over clips. Gap closed is how much a variant gains of what the one with the most "
        "real teachers gains, in percent; empty where that is not told from nothing. A gate says how far a "
        "teacher's gate is open, 0 to 1, on validation.",
        (
            VARIANT,
            Column("inputs", "inputs"),
            TOP1,
            INTERVAL,
            Column("delta_vs_student", "gain"),
            GAIN_INTERVAL,
            P_HOLM,
            Column("gap_closed", "gap closed"),
            Column("mean_class", "mean class", best="high"),
            PARAMS,
            Column("gate_(.+)", "gate {}"),
        ),
    ),
    "modes": Spec(
        "Video mode and cached mode",
        "Logits of the exported head from frames and from cached features of the same test videos.",
    ),
    "teachers": Spec(
        "What the frozen CLIP teacher knows",
        "Top-1 in percent by the head that is made for it, beside the share of the largest class; the gate "
        "asks for a margin above that on validation. Used is the head that teaches.",
    ),
    "student": Spec(
        "Students of a CLIP teacher",
        "In percent where they are accuracies. The view is what the teacher sees while it teaches: the "
        "student's own clip (online) or the middle of the video (cached). The gain is in points on the same"
        " clips and seeds, by a permutation test over clips. Agreement is how often student and teacher say"
        " the same, cosine how near their features are.",
        (
            VARIANT,
            Column("teacher_view", "view"),
            Column("labelled_clips", "labelled clips"),
            TOP1,
            INTERVAL,
            GAIN,
            GAIN_INTERVAL,
            P_HOLM,
            Column("top5", "top-5", best="high"),
            *CLASS_FIGURES,
            Column("agreement", "agreement"),
            Column("cosine", "cosine"),
            PARAMS,
            GFLOPS,
            *TIMES,
        ),
    ),
    "networks": Spec(
        "What teacher and assistant know",
        "Top-1 in percent by a linear head on their features, beside the share of the largest class; the "
        "gate asks for a margin above that on validation.",
    ),
    "trimodel": Spec(
        "Students of a teacher and an assistant",
        "In percent where they are accuracies. Teacher and assistant: whether the network taught, with its "
        "weights (loaded) or, as a control, without (random). AP of anomalies is that of all classes "
        "against the normal one. Losses are weighted as they are added up, of the last epoch. A student of "
        "both is compared with that of the teacher alone too: the control should gain nothing. The gate is "
        "passed unless every clip gets one class.",
        (
            VARIANT,
            Column("teacher", "teacher"),
            Column("assistant", "assistant"),
            Column("labelled_clips", "labelled clips"),
            TOP1,
            INTERVAL,
            GAIN,
            GAIN_INTERVAL,
            P_HOLM,
            Column("over_teacher", "above teacher alone"),
            Column("over_teacher_low", "95% of that", to="over_teacher_high"),
            Column("gate", "gate"),
            *CLASS_FIGURES,
            Column("ap_anomaly", "AP of anomalies", best="high"),
            Column("agreement_teacher", "agrees with teacher"),
            Column("agreement_assistant", "with assistant"),
            Column("(.+)_loss", "{}"),
            PARAMS,
            GFLOPS,
            *TIMES,
            Column("top1_per_mparams", "top-1 per M parameters"),
            Column("params_of_teacher", "% of teacher's parameters"),
        ),
    ),
    "per_class": Spec(
        "Each class",
        "In percent, mean over seeds; recall is the accuracy of the class.",
        (
            METHOD,
            VARIANT,
            Column("class", "class"),
            Column("clips", "clips"),
            Column("precision", "precision"),
            Column("recall", "recall"),
            Column("f1", "F1"),
        ),
    ),
    "references": Spec(
        "Beside published results",
        "Results of the same data set that others have published, with our run of the same kind; where "
        "protocols differ, the difference says little.",
        (
            Column("data_set", "data set"),
            METHOD,
            Column("network", "network"),
            Column("row", "our row"),
            Column("ours", "ours"),
            Column("theirs", "theirs"),
            Column("difference", "difference"),
            Column("same_protocol", "same protocol"),
            Column("differs", "what differs"),
            Column("source", "source"),
        ),
    ),
    "excluded": Spec("Excluded videos", "Listed, but not used, and why."),
    "gates": Spec(
        "Result gates",
        "A run whose predictions are all of one class has learnt nothing that can be told from a constant "
        "answer.",
    ),
    "provenance": Spec(
        "What made each run",
        "From the file .provenance.json beside its weights: commit, digests of code and settings, versions,"
        " device, time and memory.",
    ),
    "settings": Spec(
        "Settings of each variant",
        "As they were validated; once where all variants of a method have the same.",
    ),
    "wall_time": Spec(
        "Time and memory of each rule",
        "Of the jobs that were done when the tables were made, from Snakemake's benchmarks: seconds of all, "
        "and the most memory of one job.",
    ),
}
"""By the name of the file in `report/tables`, in the order of the page."""
