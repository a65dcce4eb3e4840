"""What a job of one variant or one backbone needs; as in common.smk, keep torch out."""

from vidkd.backbones.registry import module_of


def start_file(wildcards):
    """The file that a variant starts from, if its `weights` name one."""
    source = cfg.ffn.variant(wildcards.variant).weights
    return source if is_file_name(source) else []


def initial_weights(wildcards):
    """The trained weights that a variant starts from, if it starts from another variant."""
    source = cfg.ffn.variant(wildcards.variant).init_from
    return expand(paths.ffn.weights, variant=source, seed=wildcards.seed) if source else []


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
    """The settings of a backbone."""
    return cfg.backbones[wildcards.backbone]


def backbone_files(wildcards):
    """The files of a backbone on this disk, such as are there; the job says what is missing."""
    source = backbone(wildcards)
    if source.folder is not None:
        names = ("*.safetensors", "*.bin", "*.index.json", "*config.json")
        found = [file for name in names for file in Path(source.folder).glob(name)]
    elif source.file is not None:
        found = [Path(source.file), *Path(source.file).parent.glob("*config.json")]
    else:
        found = []  # a commit of the hub never changes
    return sorted(str(file) for file in found if file.is_file())
