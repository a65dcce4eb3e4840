"""Show converters on the report page."""

from __future__ import annotations

from vidkd.evaluate.specs import PARAMS, Column, Section, Spec

SECTION = Section(
    "converters",
    "Converters",
    {
        "converters": Spec(
            "Converters: from the student's features to each teacher's",
            "On the test split. R² is the share of the variance over videos of the teacher's features that "
            "converted ones explain, cosine the mean over their tokens; beside each what the teacher's "
            "mean feature has, said of every video. CKA is the linear alignment of mean tokens (unbiased), "
            "beside it that of the student's own features. Retrieval is how often the teacher's nearest "
            "feature is of the same video; probe is the accuracy of a linear head fitted on the teacher's "
            "own features on converted ones, beside it on its own; both in percent.",
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
        )
    },
    ("converters", "similarity", "curves_converters"),
)
