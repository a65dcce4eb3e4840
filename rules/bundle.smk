rule export_fusion:
    input:
        unpack(bundled_files),
    output:
        bundle=directory(paths.bundle),
    log:
        paths.log("export_fusion"),
    benchmark:
        paths.benchmark("export_fusion")
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=cfg.compute.mem_mb,
        runtime=60,
    params:
        settings=lambda wildcards: canonical(backbone_named(STUDENT)),
        frames=settings("frames"),
        code=code("workflow_scripts.export_fusion"),
        kind=lambda wildcards: code(module_of(cfg.backbones[STUDENT].kind)),
        converters=lambda wildcards: bundled_converters(),
    shell:
        "python -m workflow_scripts.export_fusion --weights {input.weights} {params.converters}"
        " --frame-settings {params.frames:q} --output {output.bundle} --settings {params.settings:q} > {log} 2>&1"


rule compare_modes:
    input:
        bundle=paths.bundle,
        weights=paths.fusion.weights.format(fusion=cfg.fusion.bundle, seed=cfg.seeds[0]),
        config=paths.fusion.config.format(fusion=cfg.fusion.bundle, seed=cfg.seeds[0]),
        sources=bundled_sources,
        frames=frames("test"),
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        listed=paths.classes,
    output:
        table=paths.modes,
    log:
        paths.log("compare_modes"),
    benchmark:
        paths.benchmark("compare_modes")
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: cfg.backbones[STUDENT].cpu_threads
    resources:
        gpu=one_gpu,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        code=code("workflow_scripts.compare_modes"),
        kind=lambda wildcards: code(module_of(cfg.backbones[STUDENT].kind)),
        frames=each_shard("--frames-store", "test"),
        sources=lambda wildcards: sources_of(cfg.fusion.bundle, cfg.seeds[0], ["test"]),
        run_dir=lambda wildcards, input: Path(input.weights).parent,
    shell:
        "python -m workflow_scripts.compare_modes --bundle {input.bundle} --train-run {params.run_dir}"
        " {params.frames} {params.sources} --output {output.table} > {log} 2>&1"


rule measure_fusion:
    input:
        bundle=paths.bundle,
        teachers=[file for name in cfg.converters.teachers for file in files_of(name)],
    output:
        table=paths.latency,
    log:
        paths.log("measure_fusion"),
    benchmark:
        paths.benchmark("measure_fusion")
    conda:
        "../envs/train.yaml"
    # Alone on this machine, for what it measures is time; on a cluster there is no number of cores to ask for.
    threads: workflow.resource_settings.cores or 1
    resources:
        gpu=one_gpu,
        mem_mb=cfg.compute.mem_mb,
        runtime=60,
    params:
        rounds=cfg.latency.rounds,
        teachers=lambda wildcards: teachers_settings(),
        code=code("workflow_scripts.measure_fusion"),
        kinds=lambda wildcards: [
            code(module_of(cfg.backbones[name].kind))
            for name in (STUDENT, *cfg.converters.teachers)
        ],
    shell:
        "python -m workflow_scripts.measure_fusion --bundle {input.bundle} --teachers {params.teachers:q}"
        " --output {output.table} --rounds {params.rounds} > {log} 2>&1"
