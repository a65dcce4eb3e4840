"""Show students of a CLIP teacher on the report page."""

from __future__ import annotations

from vidkd.evaluate.specs import CLASS_FIGURES, COMPARED, COST, VARIANT, Alarm, Column, Section, Spec

SECTION = Section(
    "student",
    "Students of a CLIP teacher",
    {
        "teachers": Spec(
            "What the frozen CLIP teacher knows",
            "Top-1 in percent by the head that is made for it, beside the share of the largest class; the "
            "gate asks for a margin above that on validation. Used is the head that teaches.",
            alarm=Alarm(
                "gate",
                "As a teacher of <b>{label}</b>, <b>{teacher}</b> is refused by the teacher gate: {reason}. "
                "No student is trained on it.",
                only="used",
            ),
        ),
        "student": Spec(
            "Students of a CLIP teacher",
            "In percent where they are accuracies. The view is what the teacher sees while it teaches: the "
            "student's own clip (online) or the middle of the video (cached). The gain is in points on the "
            "same clips and seeds, by a permutation test over clips. Agreement is how often student and "
            "teacher say the same, cosine how near their features are.",
            (
                VARIANT,
                Column("teacher_view", "view"),
                Column("labelled_clips", "labelled clips"),
                *COMPARED,
                Column("top5", "top-5", best="high"),
                *CLASS_FIGURES,
                Column("agreement", "agreement"),
                Column("cosine", "cosine"),
                *COST,
            ),
            gain="delta",
        ),
    },
    ("curves_student", "confusion_student", "attention_student", "mistakes_student"),
)
