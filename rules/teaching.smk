"""What a job of a student or of its teacher's head needs; as in common.smk, keep torch out."""

import shlex

TEACHER = cfg.student.teacher.backbone


def label_of(wildcards):
    """Where the label of a teacher's head is listed, and what its classes are called."""
    return {
        "labels": paths.labels.format(label=wildcards.label),
        "classes": paths.label_classes.format(label=wildcards.label),
    }


def teacher_settings():
    """The settings of the teacher's network as canonical JSON."""
    return canonical(backbone_named(TEACHER)) if TEACHER else ""


def teacher_head_settings(wildcards):
    """The settings of the head; `class_names` are those of the label that students learn."""
    own = cfg.student.teacher
    if wildcards.label != cfg.student_label:
        own = own.model_copy(update={"class_names": {}})
    return canonical(own)


def teacher_word(option, split):
    """`option` before each of the teacher's feature shards, as `feature_word`."""
    return feature_word(option, TEACHER, split) if TEACHER else ""


def marked_of(experiment):
    """The option that leaves out labels that are not marked."""
    return "--marked-only" if experiment.labels == "marked" else ""


def student_of(wildcards):
    """The complete settings of a student."""
    return cfg.student.variant(wildcards.student)


def student_settings(wildcards):
    """The same as canonical JSON."""
    return canonical(student_of(wildcards))


def start_settings(wildcards):
    """The settings of the network that a student starts from as canonical JSON, or null."""
    name = student_of(wildcards).backbone
    return canonical(backbone_named(name)) if name else "null"


def student_start(wildcards):
    """The files of the network that a student starts from."""
    name = student_of(wildcards).backbone
    return files_of(name) if name else []


def of_teacher(artefact):
    """An artefact of the teacher's head for the label that students learn."""
    return artefact.format(label=cfg.student_label)


def teaching_files(wildcards):
    """What a student is taught by: nothing where labels alone teach it."""
    variant = student_of(wildcards)
    if not variant.taught:
        return {}
    cached = features_of(TEACHER, "train") if variant.teacher_view == "cached" else []
    return {
        "head": of_teacher(paths.teacher.weights),
        "head_config": of_teacher(paths.teacher.config),
        "teacher": files_of(TEACHER),
        "teacher_train": cached,
        "teacher_val": features_of(TEACHER, "val"),
    }


def teaching_options(wildcards):
    """The options that name `teaching_files`."""
    variant = student_of(wildcards)
    if not variant.taught:
        return ""
    words = [
        f"--teacher-head {of_teacher(paths.teacher.weights)}",
        f"--teacher {shlex.quote(teacher_settings())}",
        teacher_word("--teacher-val", "val"),
    ]
    if variant.teacher_view == "cached":
        words.append(teacher_word("--teacher-train", "train"))
    return " ".join(words)


def student_work(wildcards):
    """Priority of a training: the longest first, as `training_work`."""
    variant = student_of(wildcards)
    return variant.epochs * variant.frames


def all_students(artefact):
    """An artefact of every student."""
    return expand(artefact, student=cfg.student.variants, seed=cfg.seeds)


def first_student(name, artefact):
    """An artefact of one student with the first seed."""
    return artefact.format(student=name, seed=cfg.seeds[0])


def timed_students():
    """The students whose time is measured, each as NAME=FILE."""
    return " ".join(
        f"{name}={first_student(name, paths.student.weights)}"
        for name in cfg.student.variants
    )


SHOWN = cfg.student.export or cfg.student.baseline
"""The student that is exported, and whose attention is drawn."""


def exported_student():
    """The folder of the exported student, where there is one."""
    return [paths.exported] if TEACHER and cfg.student.export else []


def judged_labels():
    """The labels that the teacher is measured for: the students' first."""
    return list(dict.fromkeys([cfg.student_label, *cfg.student.also_judged]))
