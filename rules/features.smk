rule cache_features:
    input:
        frames=paths.frames,
        weights=flow.data.backbone_files,
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        videos=paths.videos,
    output:
        features=paths.features,
    log:
        paths.log("cache_features", "{backbone}.{split}.{shard}"),
    benchmark:
        paths.benchmark("cache_features", "{backbone}.{split}.{shard}")
    priority: flow.data.FIRST - 100
    conda:
        "../envs/train.yaml"
    threads: flow.data.backbone_threads
    resources:
        gpu=flow.one_gpu,
        workers=cfg.compute.workers,
        batch=cfg.compute.batch,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=flow.data.backbone_settings,
        code=flow.data.backbone_code,
    shell:
        "python -m workflow_scripts.cache_features --backbone {wildcards.backbone} --frames-store {input.frames}"
        " --output {output.features} --batch {resources.batch} --workers {resources.workers}"
        " --settings {params.settings:q} > {log} 2>&1"
