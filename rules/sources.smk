"""What converters and fusion heads are made from, and what is reported of them; as in common.smk, keep torch out."""

STUDENT = cfg.converters.student


def probe_of_teacher(artefact):
    """An input function: the linear probe on a teacher's real features, for the data set's own label, first seed."""
    return lambda wildcards: expand(
        artefact,
        backbone=wildcards.teacher,
        head="linear",
        label=cfg.data.own_label,
        seed=cfg.seeds[0],
    )


def teacher_features(split):
    """An input function: the real features of a teacher."""
    return lambda wildcards: features_of(wildcards.teacher, split)


def each_student_shard(option, split):
    """A params function: as `each_feature_shard`, of the student."""
    return lambda wildcards: feature_word(option, STUDENT, split)


def each_teacher_shard(option, split):
    """A params function: as `each_feature_shard`, of a teacher."""
    return lambda wildcards: feature_word(option, wildcards.teacher, split)


def converter_settings(wildcards):
    """The complete settings of a converter as canonical JSON."""
    return canonical(cfg.converters.variant(wildcards.converter))


def converter_weights(fusion, seed):
    """The converters of a fusion head, by teacher."""
    variant = cfg.fusion_variant(fusion)
    weights = paths.converters.weights
    return {
        teacher: weights.format(converter=variant.converter, teacher=teacher, seed=seed)
        for teacher in variant.teachers
    }


def fusion_settings(wildcards):
    """The complete settings of a fusion head as canonical JSON."""
    return canonical(cfg.fusion_variant(wildcards.fusion))


def fusion_caches(fusion, seed, splits=SPLITS):
    """What goes into a fusion head: split, name and path of each cache, with {shard} open where it has several."""
    variant = cfg.fusion_variant(fusion)
    names = [STUDENT] if variant.student or variant.finetune_converters else []
    names += [] if variant.finetune_converters else variant.teachers
    for split in splits:
        for name in names:
            real = name == STUDENT or variant.features == "real"
            yield split, name, (
                paths.features.replace("{backbone}", name)
                if real
                else paths.converted.replace("{converter}", variant.converter)
                .replace("{teacher}", name)
                .replace("{seed}", str(seed))
            ).replace("{split}", split)


def tuned_converters(fusion, seed):
    """The converters that a fusion head trains on, by teacher."""
    tuned = cfg.fusion_variant(fusion).finetune_converters
    return converter_weights(fusion, seed) if tuned else {}


def frozen_converters(fusion, seed):
    """The converters of a fusion head that stay as they are, by teacher."""
    tuned = cfg.fusion_variant(fusion).finetune_converters
    return {} if tuned else converter_weights(fusion, seed)


def with_configs(weights):
    """Files of converters: the weights, and the config.json that is read beside each."""
    return [
        str(file)
        for path in map(Path, weights.values())
        for file in (path, path.with_name("config.json"))
    ]


def files_of_caches(caches):
    """Every shard of `fusion_caches`."""
    patterns = [path for _, _, path in caches]
    return [
        file for path in patterns for file in dict.fromkeys(expand(path, shard=SHARDS))
    ]


def fusion_files(wildcards):
    """All that a fusion head is trained on and tested with."""
    fusion, seed = wildcards.fusion, wildcards.seed
    caches = files_of_caches(fusion_caches(fusion, seed))
    return [*caches, *with_configs(tuned_converters(fusion, seed))]


def sources_of(fusion, seed, splits):
    """The options that name the caches of a fusion head, as words that bash expands."""
    shards = f"{{0..{cfg.data.n_shards - 1}}}"
    return " ".join(
        f"--{split}={name}={path.replace('{shard}', shards)}"
        for split, name, path in fusion_caches(fusion, seed, splits)
    )


def fusion_sources(wildcards):
    """The options that name what `fusion_files` are."""
    fusion, seed = wildcards.fusion, wildcards.seed
    return f"{sources_of(fusion, seed, SPLITS)} {converter_words(tuned_converters(fusion, seed))}"


def converter_words(weights):
    """The options that name converters."""
    return " ".join(f"--converter={name}={file}" for name, file in weights.items())


def all_converters(artefact):
    """An artefact of every converter."""
    return expand(
        artefact,
        converter=cfg.converters.variants,
        teacher=cfg.converters.teachers,
        seed=cfg.seeds,
    )


def all_fusions(artefact):
    """An artefact of every fusion head."""
    return expand(artefact, fusion=cfg.fusion.variants, seed=cfg.seeds)


def bundled_converters():
    """The options that name the frozen converters of the exported head; others are part of it."""
    return converter_words(frozen_converters(cfg.fusion.bundle, cfg.seeds[0]))


def bundled_files(wildcards):
    """What an exported network is made of: the head, its converters, and the student itself."""
    run = {"fusion": cfg.fusion.bundle, "seed": cfg.seeds[0]}
    return {
        "weights": paths.fusion.weights.format(**run),
        "config": paths.fusion.config.format(**run),
        "converters": with_configs(frozen_converters(run["fusion"], run["seed"])),
        "student": files_of(STUDENT),
    }


def bundled_sources(wildcards):
    """The test caches of the exported head."""
    return files_of_caches(fusion_caches(cfg.fusion.bundle, cfg.seeds[0], ["test"]))


def teachers_settings():
    """The settings of all teachers by name, as canonical JSON."""
    found = {
        name: json.loads(canonical(backbone_named(name)))
        for name in cfg.converters.teachers
    }
    return json.dumps(found, sort_keys=True)
