rule train_ffn:
    input:
        train=frames("train"),
        val=frames("val"),
        classes=paths.classes,
        # Waits for the checks of the data set; a check made anew is no reason to train anew.
        checked=ancient(paths.excluded),
        init=initial_weights,
        start=start_file,
    output:
        weights=paths.ffn.weights,
        config=paths.ffn.config,
        history=paths.ffn.history,
    log:
        paths.log("train_ffn", "{variant}.seed{seed}"),
    benchmark:
        paths.benchmark("train_ffn", "{variant}.seed{seed}")
    wildcard_constraints:
        variant="|".join(cfg.ffn.variants),
    priority: training_work
    conda:
        "../envs/train.yaml"
    threads: training_cores(cfg.ffn.base)
    resources:
        gpu=cfg.compute.gpus,
        launch=launch,
        workers=cfg.compute.workers,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=variant_settings,
        code=code("workflow_scripts.train_ffn"),
        train=each_shard("--train", "train"),
        val=each_shard("--val", "val"),
        init=lambda wildcards, input: " ".join(f"--init={file}" for file in input.init),
        run_dir=paths.ffn.folder,
    shell:
        "python -m {resources.launch}workflow_scripts.train_ffn {params.train} {params.val} {params.init}"
        " --classes {input.classes} --run-dir {params.run_dir} --seed {wildcards.seed} --workers {resources.workers}"
        " --settings {params.settings:q} > {log} 2>&1"


rule predict_ffn:
    input:
        weights=networks(paths.ffn.weights),
        configs=networks(paths.ffn.config),
        test=frames("test"),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        classes=paths.classes,
    output:
        predictions=paths.ffn.predictions,
        efficiency=paths.ffn.efficiency,
    log:
        paths.log("predict_ffn", "{variant}.seed{seed}"),
    benchmark:
        paths.benchmark("predict_ffn", "{variant}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: max(cfg.compute.workers, cfg.ffn.base.cpu_threads)
    resources:
        gpu=one_gpu,
        workers=cfg.compute.workers,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=settings("ffn.predict"),
        code=code("workflow_scripts.predict_ffn"),
        test=each_shard("--test", "test"),
    shell:
        "python -m workflow_scripts.predict_ffn {input.weights} {params.test}"
        " --predictions {output.predictions} --efficiency {output.efficiency} --workers {resources.workers}"
        " --settings {params.settings:q} > {log} 2>&1"


rule measure_ffn:
    input:
        weights=first_networks(paths.ffn.weights),
        configs=first_networks(paths.ffn.config),
    output:
        table=paths.ffn_latency,
    log:
        paths.log("measure_ffn"),
    benchmark:
        paths.benchmark("measure_ffn")
    conda:
        "../envs/train.yaml"
    # Alone on this machine, for what it measures is time; on a cluster there is no number of cores to ask for.
    threads: workflow.resource_settings.cores or 2
    resources:
        gpu=one_gpu,
        mem_mb=cfg.compute.mem_mb,
        runtime=60,
    params:
        rounds=cfg.latency.rounds,
        code=code("workflow_scripts.measure_ffn"),
        networks=measured_networks(),
        frames=max(cfg.ffn.predict.score_counts, default=cfg.ffn.predict.max_count),
    shell:
        "python -m workflow_scripts.measure_ffn {params.networks} --frames {params.frames}"
        " --output {output.table} --rounds {params.rounds} > {log} 2>&1"


rule evaluate_ffn:
    input:
        predictions=paths.ffn.predictions,
        efficiency=paths.ffn.efficiency,
    output:
        metrics=paths.ffn.metrics,
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
        code=code("workflow_scripts.evaluate_ffn"),
    shell:
        "python -m workflow_scripts.evaluate_ffn --predictions {input.predictions}"
        " --efficiency {input.efficiency} --metrics {output.metrics}"
        " --variant {wildcards.variant} --seed {wildcards.seed} > {log} 2>&1"


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
        settings=settings("ffn.tfd"),
        code=code("workflow_scripts.tabulate_tfd"),
    shell:
        "python -m workflow_scripts.tabulate_tfd {input.metrics} --tfd {output.tfd}"
        " --any-frame {output.any_frame} --settings {params.settings:q} > {log} 2>&1"


rule draw_tfd:
    input:
        any_frame=paths.any_frame,
    output:
        figure=report(
            figure("tfd"),
            caption="captions/tfd.rst",
            category="Frame Flexible Network",
        ),
        bitmap=paths.bitmap(figure("tfd")),
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
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"
