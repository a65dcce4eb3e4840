source = flow.data.source
SOURCE_SHARDS = range(flow.data.SOURCE_SHARDS)


# The videos that small networks are trained on, and these networks. They are listed, probed and decoded by the
# scripts of any data set, into a folder that is laid out as that of the results.
use rule generate_demo as generate_source with:
    output:
        annotations=source.demo_annotations,
    log:
        paths.log("generate_source", "{split}"),
    benchmark:
        paths.benchmark("generate_source", "{split}")
    priority: flow.data.FIRST
    params:
        settings=flow.data.source_settings,
        code=code("generate_demo"),
        folder=f"{source.demo}/{{split}}",


use rule list_videos as list_source with:
    input:
        annotations=expand(source.demo_annotations, split=SPLITS),
    output:
        shards=expand(source.videos, shard=SOURCE_SHARDS),
        classes=source.classes,
    log:
        paths.log("list_source"),
    benchmark:
        paths.benchmark("list_source")
    priority: flow.data.FIRST
    params:
        settings=flow.data.source_data,
        code=code("list_videos", "vidkd.data.adapters.demo"),
        root=lambda wildcards: source.demo,
        annotations=lambda wildcards: source.demo,
        folder=Path(source.videos).parent,


use rule probe_videos as probe_source with:
    input:
        videos=source.videos,
        classes=source.classes,
    output:
        probe=source.probe,
    log:
        paths.log("probe_source", "{shard}"),
    benchmark:
        paths.benchmark("probe_source", "{shard}")
    priority: flow.data.FIRST
    params:
        code=code("probe_videos"),
        source=flow.data.source_look,
        root=source.demo,


use rule extract_frames as extract_source with:
    input:
        probe=source.probe,
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        videos=source.videos,
    output:
        frames=source.frames,
    log:
        paths.log("extract_source", "{split}.{shard}"),
    benchmark:
        paths.benchmark("extract_source", "{split}.{shard}")
    priority: flow.data.FIRST
    params:
        settings=section(cfg, "frames"),
        code=code("extract_frames"),
        source=flow.data.source_look,
        root=source.demo,


rule train_checkpoint:
    input:
        train=expand(source.frames, split="train", shard=SOURCE_SHARDS),
        val=expand(source.frames, split="val", shard=SOURCE_SHARDS),
        annotations=expand(source.demo_annotations, split=["train", "val"]),
        classes=source.classes,
    output:
        network=directory(paths.checkpoint_network),
        history=f"{paths.checkpoint}/history.csv",
        metrics=f"{paths.checkpoint}/metrics.json",
    log:
        paths.log("train_checkpoint", "{checkpoint}"),
    benchmark:
        paths.benchmark("train_checkpoint", "{checkpoint}")
    priority: flow.data.FIRST
    conda:
        "../envs/train.yaml"
    threads: flow.data.checkpoint_threads
    resources:
        gpu=flow.one_gpu,
        workers=cfg.compute.workers,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=flow.data.checkpoint_settings,
        code=flow.data.checkpoint_code,
        train=flow.data.repeated("--train", "train"),
        val=flow.data.repeated("--val", "val"),
        annotations=flow.data.repeated("--annotations", "annotations"),
        run_dir=paths.checkpoint,
    shell:
        "python -m workflow_scripts.train_checkpoint {params.train} {params.val} {params.annotations}"
        " --classes {input.classes} --run-dir {params.run_dir} --workers {resources.workers}"
        " --settings {params.settings:q} > {log} 2>&1"


# Where the network is: on the login node of a cluster, never as a job of it.
localrules:
    download_weights,


# No output, nor a benchmark, which is one: each time it is asked for, it sees what is there and fetches the rest.
rule download_weights:
    log:
        paths.log("download_weights"),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=1440,
    params:
        settings=flow.weights_settings,
        code=code("download_weights"),
    shell:
        "python -m workflow_scripts.download_weights --settings {params.settings:q} 2>&1 | tee {log}"
