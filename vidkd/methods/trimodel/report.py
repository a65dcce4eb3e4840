"""Show tri-model students on the report page."""

from __future__ import annotations

from vidkd.evaluate.specs import CLASS_FIGURES, COMPARED, COST, VARIANT, Alarm, Column, Section, Spec

SECTION = Section(
    "trimodel",
    "Students of a teacher and an assistant",
    {
        "networks": Spec(
            "What teacher and assistant know",
            "Top-1 in percent by a linear head on their features, beside the share of the largest class; the "
            "gate asks for a margin above that on validation.",
            alarm=Alarm("gate", "The {role} <b>{network}</b> is refused by the gate: {reason}."),
        ),
        "trimodel": Spec(
            "Students of a teacher and an assistant",
            "In percent where they are accuracies. Teacher and assistant: whether the network taught, with "
            "its weights (loaded) or, as a control, without (random). AP of anomalies is that of all "
            "classes against the normal one. Losses are weighted as they are added up, of the last epoch. "
            "A student of both is compared with that of the teacher alone too: the control should gain "
            "nothing. The gate is passed unless every clip gets one class.",
            (
                VARIANT,
                Column("teacher", "teacher"),
                Column("assistant", "assistant"),
                Column("labelled_clips", "labelled clips"),
                *COMPARED,
                Column("over_teacher", "above teacher alone"),
                Column("over_teacher_low", "95% of that", to="over_teacher_high"),
                Column("gate", "gate"),
                *CLASS_FIGURES,
                Column("ap_anomaly", "AP of anomalies", best="high"),
                Column("agreement_teacher", "agrees with teacher"),
                Column("agreement_assistant", "with assistant"),
                Column("(.+)_loss", "{}"),
                *COST,
                Column("top1_per_mparams", "top-1 per M parameters"),
                Column("params_of_teacher", "% of teacher's parameters"),
            ),
            gain="delta",
        ),
    },
    ("curves_trimodel", "confusion_trimodel", "mistakes_trimodel"),
)
