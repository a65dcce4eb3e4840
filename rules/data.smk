rule generate_demo:
    output:
        annotations=paths.demo_annotations,
    log:
        paths.log("generate_demo", "{split}"),
    benchmark:
        paths.benchmark("generate_demo", "{split}")
    conda:
        "../envs/video.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=flow.data.demo_settings,
        code=code("generate_demo"),
        folder=f"{paths.demo}/{{split}}",
    shell:
        "python -m workflow_scripts.generate_demo --split {wildcards.split}"
        " --folder {params.folder:q}"
        " --annotation {output.annotations} --settings {params.settings:q} > {log} 2>&1"


# A checkpoint, though its outputs are known: the jobs after it are planned anew once it has run, so that the
# shards whose listing has the same content as before are neither probed nor extracted again.
checkpoint list_videos:
    input:
        annotations=flow.data.annotations,
    output:
        shards=expand(paths.videos, shard=flow.data.shards),
        classes=paths.classes,
    log:
        paths.log("list_videos"),
    benchmark:
        paths.benchmark("list_videos")
    conda:
        "../envs/video.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=section(cfg, "data"),
        code=flow.data.adapter_code("list_videos"),
        root=flow.data.data_root,
        annotations=flow.data.annotations_root,
        folder=lambda wildcards, output: Path(output.shards[0]).parent,
    shell:
        "python -m workflow_scripts.list_videos --root {params.root:q} --annotations {params.annotations:q}"
        " --shards {params.folder:q} --classes {output.classes} --settings {params.settings:q} > {log} 2>&1"


rule probe_videos:
    input:
        videos=paths.videos,
        classes=paths.classes,
    output:
        probe=paths.probe,
    log:
        paths.log("probe_videos", "{shard}"),
    benchmark:
        paths.benchmark("probe_videos", "{shard}")
    conda:
        "../envs/video.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        code=code("probe_videos"),
        source=flow.data.video_source,
        root=flow.data.data_root,
    shell:
        "python -m workflow_scripts.probe_videos --root {params.root:q} --videos {input.videos}"
        " --classes {input.classes} --shard {wildcards.shard} --output {output.probe} > {log} 2>&1"


rule build_manifest:
    input:
        probes=expand(paths.probe, shard=flow.data.shards),
        classes=paths.classes,
    output:
        manifest=paths.manifest,
    log:
        paths.log("build_manifest"),
    benchmark:
        paths.benchmark("build_manifest")
    conda:
        "../envs/video.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=section(cfg, "data"),
        code=code("build_manifest"),
        # A folder, because the names of a thousand shards are longer than a command may be.
        folder=Path(paths.probe).parent,
    shell:
        "python -m workflow_scripts.build_manifest --probes {params.folder} --classes {input.classes}"
        " --manifest {output.manifest} --settings {params.settings:q} > {log} 2>&1"


rule list_labels:
    input:
        annotations=flow.data.annotations,
    output:
        labels=paths.labels,
        classes=paths.label_classes,
    log:
        paths.log("list_labels", "{label}"),
    benchmark:
        paths.benchmark("list_labels", "{label}")
    conda:
        "../envs/video.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=flow.data.label_settings,
        code=flow.data.adapter_code("list_labels"),
        root=flow.data.data_root,
        annotations=flow.data.annotations_root,
    shell:
        "python -m workflow_scripts.list_labels --root {params.root:q} --annotations {params.annotations:q}"
        " --output {output.labels} --classes {output.classes} --settings {params.settings:q} > {log} 2>&1"
