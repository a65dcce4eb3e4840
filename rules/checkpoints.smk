# Networks wait for these, and much waits for the networks: with as many cores as there are jobs, nothing of it matters.
FIRST = 500


# The videos that small networks are trained on, and these networks. They are listed, probed and decoded by the
# scripts of any data set, into a folder that is laid out as that of the results.
use rule generate_demo as generate_source with:
    output:
        annotations=source.demo_annotations,
    log:
        paths.log("generate_source", "{split}"),
    benchmark:
        paths.benchmark("generate_source", "{split}")
    priority: FIRST
    params:
        settings=source_settings,
        code=code("workflow_scripts.generate_demo"),
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
    priority: FIRST
    params:
        settings=source_data,
        code=code("workflow_scripts.list_videos", "vidkd.data.adapters.demo"),
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
    priority: FIRST
    params:
        code=code("workflow_scripts.probe_videos"),
        source=source_look,
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
    priority: FIRST
    params:
        settings=settings("frames"),
        code=code("workflow_scripts.extract_frames"),
        source=source_look,
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
    priority: FIRST
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: max(cfg.compute.workers, checkpoint_of(wildcards).cpu_threads)
    resources:
        gpu=one_gpu,
        workers=cfg.compute.workers,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=lambda wildcards: canonical(checkpoint_of(wildcards)),
        code=code("workflow_scripts.train_checkpoint"),
        # Of its own kind alone: no import names it.
        kind=lambda wildcards: code(module_of_network(checkpoint_of(wildcards).kind)),
        train=repeated("--train", "train"),
        val=repeated("--val", "val"),
        annotations=repeated("--annotations", "annotations"),
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
        settings=weights_settings,
        code=code("workflow_scripts.download_weights"),
    shell:
        "python -m workflow_scripts.download_weights --settings {params.settings:q} 2>&1 | tee {log}"
