rule extract_frames:
    input:
        probe=paths.probe,
        # Not read: a direct input of the checkpoint's listing, without which Snakemake would extract every
        # shard again when the listing of one has changed.
        videos=paths.videos,
    output:
        frames=paths.frames,
    log:
        paths.log("extract_frames", "{split}.{shard}"),
    benchmark:
        paths.benchmark("extract_frames", "{split}.{shard}")
    conda:
        "../envs/video.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=480,
    params:
        settings=section(cfg, "frames"),
        code=code("extract_frames"),
        source=flow.data.video_source,
        root=flow.data.data_root,
    shell:
        "python -m workflow_scripts.extract_frames --root {params.root:q} --probe {input.probe}"
        " --split {wildcards.split} --output {output.frames} --settings {params.settings:q} > {log} 2>&1"


rule check_frames:
    input:
        stores=expand(paths.frames, split=SPLITS, shard=flow.data.shards),
        manifest=paths.manifest,
        classes=paths.classes,
    output:
        excluded=paths.excluded,
    log:
        paths.log("check_frames"),
    benchmark:
        paths.benchmark("check_frames")
    conda:
        "../envs/video.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=section(cfg, "data"),
        code=code("check_frames"),
        frames=Path(paths.frames).parent.parent,
        probes=Path(paths.probe).parent,
    shell:
        "python -m workflow_scripts.check_frames --frames {params.frames} --probes {params.probes}"
        " --manifest {input.manifest} --classes {input.classes} --excluded {output.excluded}"
        " --settings {params.settings:q} > {log} 2>&1"
