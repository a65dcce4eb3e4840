"""What a job of a student with a teacher and an assistant needs; as in common.smk, keep torch out."""

import shlex

from vidkd.methods.trimodel.settings import ASSISTANT
from vidkd.methods.trimodel.settings import TEACHER as TRIMODEL_TEACHER


def both_networks():
    """The names of teacher and assistant among the backbones, where there are some."""
    return (
        [cfg.trimodel.teacher, cfg.trimodel.assistant] if cfg.trimodel.teacher else []
    )


def of_network(name, artefact):
    """An artefact of the head of a teacher or an assistant."""
    return artefact.format(backbone=name)


def both_heads(artefact):
    """An artefact of both heads."""
    return [of_network(name, artefact) for name in both_networks()]


def normal_class():
    """The option that names the class of what is nothing special."""
    return f"--normal {shlex.quote(cfg.trimodel.normal)}" if cfg.trimodel.normal else ""


def trimodel_of(wildcards):
    """The complete settings of a student."""
    return cfg.trimodel.variant(wildcards.trimodel)


def trimodel_start(wildcards):
    """The files of the network that a student starts from."""
    name = trimodel_of(wildcards).backbone
    return files_of(name) if name else []


def trimodel_start_settings(wildcards):
    """The settings of that network as canonical JSON, or null."""
    name = trimodel_of(wildcards).backbone
    return canonical(backbone_named(name)) if name else "null"


def role_names(wildcards):
    """The backbones that teach a student, by role."""
    names = {TRIMODEL_TEACHER: cfg.trimodel.teacher, ASSISTANT: cfg.trimodel.assistant}
    return {role: names[role] for role in trimodel_of(wildcards).sources}


def frozen_files(wildcards):
    """What a student is taught by: nothing where labels alone teach it."""
    found = {}
    for role, name in role_names(wildcards).items():
        found[role] = files_of(name)
        found[f"{role}_head"] = of_network(name, paths.trimodel_head.weights)
        found[f"{role}_head_config"] = of_network(name, paths.trimodel_head.config)
    return found


def frozen_options(wildcards):
    """The options that name `frozen_files`."""
    return " ".join(
        f"--{role} {shlex.quote(network_settings(name))}"
        f" --{role}-head {of_network(name, paths.trimodel_head.weights)}"
        for role, name in role_names(wildcards).items()
    )


def network_settings(name):
    """The settings of a teacher or an assistant as canonical JSON."""
    return canonical(backbone_named(name)) if name else ""


def trimodel_work(wildcards):
    """Priority of a training: the longest first, as `training_work`."""
    variant = trimodel_of(wildcards)
    return variant.epochs * (1 + len(variant.sources))


def all_trimodels(artefact):
    """An artefact of every student."""
    return expand(artefact, trimodel=cfg.trimodel.variants, seed=cfg.seeds)


def first_trimodels(artefact):
    """An artefact of every student with the first seed."""
    return expand(artefact, trimodel=cfg.trimodel.variants, seed=cfg.seeds[0])


def timed_trimodels():
    """The students whose time is measured, each as NAME=FILE."""
    files = first_trimodels(paths.trimodel.weights)
    return " ".join(map("=".join, zip(cfg.trimodel.variants, files)))
