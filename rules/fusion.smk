rule train_fusion:
    input:
        fusion_files,
        classes=paths.classes,
        checked=ancient(paths.excluded),
    output:
        weights=paths.fusion.weights,
        config=paths.fusion.config,
        history=paths.fusion.history,
        predictions=paths.fusion.predictions,
    log:
        paths.log("train_fusion", "{fusion}.seed{seed}"),
    benchmark:
        paths.benchmark("train_fusion", "{fusion}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: cfg.fusion_variant(wildcards.fusion).cpu_threads
    resources:
        gpu=one_gpu,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=fusion_settings,
        code=code("workflow_scripts.train_fusion"),
        sources=fusion_sources,
        student=STUDENT,
        run_dir=paths.fusion.folder,
    shell:
        "python -m workflow_scripts.train_fusion {params.sources} --use-cached-features"
        " --class-names {input.classes} --fusion {wildcards.fusion} --student {params.student}"
        " --run-dir {params.run_dir} --seed {wildcards.seed} --settings {params.settings:q} > {log} 2>&1"


rule evaluate_fusion:
    input:
        predictions=paths.fusion.predictions,
        config=paths.fusion.config,
    output:
        metrics=paths.fusion.metrics,
    log:
        paths.log("evaluate_fusion", "{fusion}.seed{seed}"),
    benchmark:
        paths.benchmark("evaluate_fusion", "{fusion}.seed{seed}")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.evaluate_fusion"),
    shell:
        "python -m workflow_scripts.evaluate_fusion --predictions {input.predictions} --config {input.config}"
        " --metrics {output.metrics} > {log} 2>&1"


rule tabulate_fusion:
    input:
        metrics=all_fusions(paths.fusion.metrics),
        # Read beside the metrics, clip by clip.
        predictions=all_fusions(paths.fusion.predictions),
    output:
        table=paths.fusion_table,
    log:
        paths.log("tabulate_fusion"),
    benchmark:
        paths.benchmark("tabulate_fusion")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.tabulate_fusion"),
        baseline=cfg.fusion.baseline,
    shell:
        "python -m workflow_scripts.tabulate_fusion {input.metrics} --baseline {params.baseline}"
        " --table {output.table} > {log} 2>&1"


rule draw_fusion:
    input:
        table=paths.fusion_table,
    output:
        figure=report(
            figure("fusion"),
            caption="captions/fusion.rst",
            category="Fusion",
        ),
        bitmap=paths.bitmap(figure("fusion")),
    log:
        paths.log("draw_fusion"),
    benchmark:
        paths.benchmark("draw_fusion")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_fusion"),
    shell:
        "python -m workflow_scripts.draw_fusion --table {input.table}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"
