rule train_ffn:
    input:
        train=frames("train"),
        val=frames("val"),
        classes=paths.classes,
        # Waits for the checks of the manifest; a manifest made anew is no reason to train anew.
        checked=ancient(paths.manifest),
        init=initial_weights,
    output:
        weights=paths.weights,
        config=paths.run_config,
        history=paths.history,
    log:
        paths.log("train_ffn", "{variant}.seed{seed}"),
    benchmark:
        paths.benchmark("train_ffn", "{variant}.seed{seed}")
    wildcard_constraints:
        variant=one_of(cfg.ffn.variants),
    priority: training_work
    conda:
        "../envs/train.yaml"
    threads: cfg.ffn.base.cpu_threads
    resources:
        gpu=cfg.compute.gpus,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=variant_settings,
        code=code("workflow_scripts.train_ffn"),
        init=lambda wildcards, input: f"--init {input.init}" if input.init else "",
    shell:
        "python -m workflow_scripts.train_ffn --train {input.train} --val {input.val}"
        " --classes {input.classes} {params.init} --weights {output.weights} --config {output.config}"
        " --history {output.history} --settings {params.settings:q} --seed {wildcards.seed} > {log} 2>&1"


rule predict_ffn:
    input:
        weights=paths.weights,
        config=paths.run_config,
        test=frames("test"),
    output:
        predictions=paths.predictions,
    log:
        paths.log("predict_ffn", "{variant}.seed{seed}"),
    benchmark:
        paths.benchmark("predict_ffn", "{variant}.seed{seed}")
    wildcard_constraints:
        variant=one_of(cfg.ffn.variants),
    conda:
        "../envs/train.yaml"
    threads: cfg.ffn.base.cpu_threads
    resources:
        gpu=cfg.compute.gpus,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=settings("ffn", "max_count", "report_counts"),
        code=code("workflow_scripts.predict_ffn"),
    shell:
        "python -m workflow_scripts.predict_ffn --test {input.test} --weights {input.weights}"
        " --config {input.config} --predictions {output.predictions}"
        " --settings {params.settings:q} > {log} 2>&1"


rule ensemble_ffn:
    input:
        members=ensemble_members,
    output:
        predictions=paths.predictions,
    log:
        paths.log("ensemble_ffn", "{variant}.seed{seed}"),
    benchmark:
        paths.benchmark("ensemble_ffn", "{variant}.seed{seed}")
    wildcard_constraints:
        variant=one_of(cfg.ffn.ensembles),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings("ffn", "report_counts"),
        code=code("workflow_scripts.ensemble_ffn"),
    shell:
        "python -m workflow_scripts.ensemble_ffn {input.members} --predictions {output.predictions}"
        " --settings {params.settings:q} > {log} 2>&1"


rule evaluate_ffn:
    input:
        predictions=paths.predictions,
    output:
        metrics=paths.metrics,
    log:
        paths.log("evaluate_ffn", "{variant}.seed{seed}"),
    benchmark:
        paths.benchmark("evaluate_ffn", "{variant}.seed{seed}")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings("ffn", "max_count", "report_counts"),
        code=code("workflow_scripts.evaluate_ffn"),
    shell:
        "python -m workflow_scripts.evaluate_ffn --predictions {input.predictions}"
        " --metrics {output.metrics} --settings {params.settings:q} > {log} 2>&1"


rule tabulate_tfd:
    input:
        metrics=all_metrics(),
    output:
        tfd=paths.tfd,
        any_frame=paths.any_frame,
    log:
        paths.log("tabulate_tfd"),
    benchmark:
        paths.benchmark("tabulate_tfd")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings("ffn", "separate", "report_counts"),
        code=code("workflow_scripts.tabulate_tfd"),
    shell:
        "python -m workflow_scripts.tabulate_tfd {input.metrics} --tfd {output.tfd}"
        " --any-frame {output.any_frame} --settings {params.settings:q} > {log} 2>&1"


rule draw_tfd:
    input:
        any_frame=paths.any_frame,
    output:
        figure=report(
            paths.tfd_figure,
            caption="captions/tfd.rst",
            category="Frame Flexible Network",
        ),
    log:
        paths.log("draw_tfd"),
    benchmark:
        paths.benchmark("draw_tfd")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_tfd"),
    shell:
        "python -m workflow_scripts.draw_tfd --any-frame {input.any_frame}"
        " --figure {output.figure} > {log} 2>&1"
