"""List the sections of the page: which tables and figures each has, and what the tables mean."""

from __future__ import annotations

from functools import cache

from vidkd import lazy
from vidkd.evaluate.specs import (
    CLASS_FIGURES,
    GAIN,
    GAIN_INTERVAL,
    GFLOPS,
    INTERVAL,
    METHOD,
    P_HOLM,
    PARAMS,
    TIMES,
    TOP1,
    VARIANT,
    Column,
    Section,
    Spec,
)
from vidkd.registry import METHODS, find_method

_FIRST = (
    Section(
        "summary",
        "Summary",
        {
            "summary": Spec(
                "Summary of all methods",
                "On the test split, accuracies in percent, mean ± standard deviation over seeds. The "
                "interval is of top-1, Wilson's over clips. F1 is the mean over classes; AP is the mean "
                "over classes of the average precision (of all classes of a clip where its predictions "
                "carry several); ECE is the expected calibration error (15 bins). The gain over the "
                "baseline of the method is in points of top-1 on the same clips and seeds, its interval a "
                "bootstrap over clips; p is of a permutation test over clips, with one seed McNemar's, "
                "corrected for the rows of the method (Holm). They speak of other clips; what another seed "
                "changes is after ±. Where seeds of a variant have other clips, figures are means over the "
                "clips of each, and clips and interval are of those that all have.",
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
                "GFLOPs count one multiply-add as one operation; size is of the weights on disk; peak "
                "memory is of one clip, beyond weights and input; times are the median of one decoded clip "
                "on as many threads of a CPU. In brackets are parts of an exported network, and the "
                "networks that it does without.",
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
        },
        ("tradeoff",),
    ),
)

_LAST = (
    Section(
        "classes",
        "Each class",
        {},
        ("per_class",),
        {
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
            )
        },
    ),
    Section(
        "published",
        "Beside published results",
        {
            "references": Spec(
                "Beside published results",
                "Results that others have published on the same data set, each beside our run of the same "
                "kind. Compare the protocols before the numbers: theirs is given as far as its source "
                "states it, ours is in the settings of the run. Frames are of our clips.",
                (
                    Column("data_set", "data set"),
                    METHOD,
                    Column("network", "network"),
                    Column("row", "our row"),
                    Column("ours", "ours"),
                    Column("theirs", "theirs"),
                    Column("difference", "difference"),
                    Column("frames", "our frames"),
                    Column("protocol", "their protocol"),
                    Column("source", "source"),
                ),
            )
        },
        (),
    ),
    Section(
        "data",
        "Data",
        {},
        ("clips",),
        {"excluded": Spec("Excluded videos", "Listed, but not used, and why.")},
    ),
    Section(
        "provenance",
        "Provenance",
        {
            "wall_time": Spec(
                "Time and memory of each rule",
                "Of the jobs that were done when the tables were made, from Snakemake's benchmarks: "
                "seconds of all, and the most memory of one job.",
            )
        },
        ("dag",),
        {
            "provenance": Spec(
                "What made each run",
                "From the file .provenance.json beside its weights: commit, digests of code and settings, "
                "versions, device, time and memory.",
            ),
            "settings": Spec(
                "Settings of each variant",
                "As they were validated; once where all variants of a method have the same.",
            ),
            "gates": Spec(
                "Result gates",
                "A run whose predictions are all of one class has learnt nothing that can be told from a "
                "constant answer.",
            ),
        },
    ),
)


def sections() -> list[Section]:
    """List every section, in the order of the page; each method has one."""
    return [*_FIRST, *(lazy.load(find_method(name).REPORT) for name in METHODS), *_LAST]


@cache
def specs() -> dict[str, Spec]:
    """Describe every table, by the name of its file in `report/tables`."""
    return {
        name: spec for section in sections() for name, spec in {**section.tables, **section.folded}.items()
    }
