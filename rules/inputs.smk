"""What a job of one variant, one backbone or one head needs; as in common.smk, keep torch out."""

from vidkd.backbones.pretrain.registry import module_of as module_of_network
from vidkd.backbones.registry import module_of
from vidkd.config.data import DataSettings
from vidkd.config.weights import WeightsSettings
from vidkd.methods.probes.registry import module_of as module_of_head


def start_file(wildcards):
    """The file that a variant starts from, if its `weights` name one."""
    source = cfg.ffn.variant(wildcards.variant).weights
    return source if source and is_weights_file(source) else []


def initial_weights(wildcards):
    """The trained weights that a variant starts from, if it starts from another variant."""
    source = cfg.ffn.variant(wildcards.variant).init_from
    return (
        expand(paths.ffn.weights, variant=source, seed=wildcards.seed) if source else []
    )


def training_work(wildcards):
    """Priority of a training: the longest first, so that no core waits for it at the end."""
    variant = cfg.ffn.variant(wildcards.variant)
    return variant.epochs * sum(variant.frame_counts)


def networks(artefact):
    """An input function: an artefact of the run itself, or of every member when the run is an ensemble."""

    def inputs(wildcards):
        members = cfg.ffn.ensembles.get(wildcards.variant, [wildcards.variant])
        return expand(artefact, variant=members, seed=wildcards.seed)

    return inputs


def backbone(wildcards):
    """The settings of a backbone; one that is trained here is a folder like any other."""
    return backbone_named(wildcards.backbone)


def backbone_named(name):
    """As `backbone`, by name."""
    used = cfg.backbones[name]
    if used.checkpoint is None:
        return used
    folder = paths.checkpoint_network.format(checkpoint=used.checkpoint)
    return used.model_copy(update={"checkpoint": None, "folder": folder})


def weights_settings(wildcards):
    """All weights that are made elsewhere, as canonical JSON."""
    variants = {name: cfg.ffn.variant(name).weights for name in cfg.ffn.variants}
    return canonical(
        WeightsSettings(
            backbones=cfg.backbones,
            ffn={name: source for name, source in variants.items() if source},
        )
    )


def backbone_files(wildcards):
    """The files of a backbone on this disk, such as are there; the job says what is missing."""
    return files_of(wildcards.backbone)


def files_of(name):
    """As `backbone_files`, by name."""
    source = backbone_named(name)
    if cfg.backbones[name].checkpoint is not None:
        return [source.folder]
    if source.folder is not None:
        names = ("*.safetensors", "*.bin", "*.index.json", "*config.json")
        found = [file for name in names for file in Path(source.folder).glob(name)]
    elif source.file is not None:
        found = [Path(source.file), *Path(source.file).parent.glob("*config.json")]
    else:
        found = []  # a commit of the hub never changes
    return sorted(str(file) for file in found if file.is_file())


source = Paths(paths.source)

SOURCE_SHARDS = range(2)


def source_settings(wildcards):
    """The settings of one split of the source, as `demo_settings`."""
    return one_split(cfg.source.demo, wildcards.split)


def source_look(wildcards):
    """What makes the source's videos, as `video_source`."""
    return look(cfg.source.demo)


def source_data(wildcards):
    """How the source's videos are listed, as canonical JSON."""
    return canonical(DataSettings(adapter="demo", n_shards=len(SOURCE_SHARDS)))


def checkpoint_of(wildcards):
    """The settings of a small network that is trained here."""
    return cfg.checkpoints[wildcards.checkpoint]


def repeated(option, name):
    """A params function: `option` before each file of an input."""
    return lambda wildcards, input: " ".join(f"{option}={file}" for file in input[name])


def features(split):
    """An input function: the feature shards of a backbone for one split."""
    return lambda wildcards: features_of(wildcards.backbone, split)


def features_of(name, split):
    """As `features`, by name."""
    return expand(paths.features, backbone=name, split=split, shard=SHARDS)


def each_feature_shard(option, split):
    """A params function: `option` before each feature shard, as one word that bash expands, as `each_shard`."""
    return lambda wildcards: feature_word(option, wildcards.backbone, split)


def feature_word(option, name, split):
    """As `each_feature_shard`, by name."""
    shards = f"{{0..{cfg.data.n_shards - 1}}}"
    return f"{option}={paths.features.format(backbone=name, split=split, shard=shards)}"


def label_files(wildcards):
    """Where a label is listed and what its classes are called; the data set's own is in the features."""
    if wildcards.label == cfg.data.own_label:
        return {"classes": paths.classes}
    return {"classes": paths.label_classes, "labels": paths.labels}


def label_settings(wildcards):
    """The settings of the data set that decide a label, and which training videos are marked."""
    away = {"n_shards", "max_excluded", "max_missing"}
    values = cfg.data.model_dump(mode="json", exclude=away)
    return json.dumps(values | {"label": wildcards.label}, sort_keys=True)


def head_settings(wildcards):
    """The settings of a head; those of the others are none of its business."""
    return json.dumps(
        {wildcards.head: json.loads(canonical(getattr(cfg.probes, wildcards.head)))}
    )


def all_probe_metrics():
    """Figures of every head on every backbone; only the attentive one depends on the seed."""
    seeds = {"linear": cfg.seeds[:1], "attentive": cfg.seeds}
    return [
        file
        for backbone in cfg.backbones
        for head in cfg.probes.heads
        for file in expand(
            paths.probes.metrics,
            backbone=backbone,
            head=head,
            label=cfg.probe_labels,
            seed=seeds[head],
        )
    ]


def probe_table():
    """The table of heads, where there are some."""
    return [paths.probe_table] if cfg.backbones and cfg.probes.heads else []


def first_networks(artefact):
    """An artefact of every variant with the first seed."""
    return expand(artefact, variant=cfg.ffn.variants, seed=cfg.seeds[0])


def measured_networks():
    """What is measured, each as NAME=FILE; an ensemble comes once for each of its members."""
    members = {name: [name] for name in cfg.ffn.variants} | cfg.ffn.ensembles
    return " ".join(
        f"{name}={paths.ffn.weights.format(variant=member, seed=cfg.seeds[0])}"
        for name in members
        for member in members[name]
    )


def all_metrics():
    """Figures of every variant and ensemble with every seed."""
    names = [*cfg.ffn.variants, *cfg.ffn.ensembles]
    return expand(paths.ffn.metrics, variant=names, seed=cfg.seeds)
