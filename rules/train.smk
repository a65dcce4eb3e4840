rule fit_teacher:
    input:
        files(lambda wildcards: flow.teacher(wildcards).needs),
        # Waits for the checks of the data set, as a training does.
        checked=ancient(paths.excluded),
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        listed=paths.classes,
    output:
        weights=paths.teacher().weights,
        config=paths.teacher().config,
        history=paths.teacher().history,
        predictions=paths.teacher().predictions,
        metrics=paths.teacher().metrics,
    log:
        paths.log("fit_teacher", "{method}.{teacher}"),
    benchmark:
        paths.benchmark("fit_teacher", "{method}.{teacher}")
    priority: flow.TEACHERS_FIRST
    conda:
        "../envs/train.yaml"
    threads: flow.teacher_threads
    resources:
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=flow.teacher_settings,
        code=flow.teacher_code,
        needs=words(lambda wildcards: flow.teacher(wildcards).needs),
        run_dir=paths.teacher().folder,
    shell:
        "python -m workflow_scripts.fit_teacher --run-dir {params.run_dir} --needs {params.needs:q}"
        " --settings {params.settings:q} > {log} 2>&1"


rule train:
    input:
        files(flow.needs("train")),
        # Waits for the checks of the data set; a check made anew is no reason to train anew.
        checked=ancient(paths.excluded),
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        listed=paths.classes,
    output:
        weights=run.weights,
        config=run.config,
        history=run.history,
    log:
        paths.log("train", "{method}.{run}.seed{seed}"),
    benchmark:
        paths.benchmark("train", "{method}.{run}.seed{seed}")
    priority: flow.work
    conda:
        "../envs/train.yaml"
    threads: flow.train_threads
    resources:
        gpu=flow.train_gpus,
        launch=flow.launch,
        workers=cfg.compute.workers,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=flow.run_settings,
        code=flow.train_code,
        needs=words(flow.needs("train")),
        run_dir=run.folder,
    shell:
        "python -m {resources.launch}workflow_scripts.train {wildcards.method} --run {wildcards.run}"
        " --run-dir {params.run_dir} --seed {wildcards.seed} --workers {resources.workers} --needs {params.needs:q}"
        " --settings {params.settings:q} > {log} 2>&1"


rule predict:
    input:
        files(flow.needs("predict")),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        listed=paths.classes,
    output:
        predictions=run.predictions,
        efficiency=run.efficiency,
    log:
        paths.log("predict", "{method}.{run}.seed{seed}"),
    benchmark:
        paths.benchmark("predict", "{method}.{run}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: flow.predict_threads
    resources:
        gpu=flow.one_gpu,
        workers=cfg.compute.workers,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=flow.settings_beside("prediction_settings"),
        code=flow.step_code("predict", "PREDICT"),
        needs=words(flow.needs("predict")),
    shell:
        "python -m workflow_scripts.predict {wildcards.method} --run {wildcards.run} --workers {resources.workers}"
        " --needs {params.needs:q} --predictions {output.predictions} --efficiency {output.efficiency}"
        " --settings {params.settings:q} > {log} 2>&1"


rule convert_features:
    input:
        files(flow.needs("convert")),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        listed=paths.classes,
    output:
        train=paths.converted("{method}", "{run}", split="train"),
        val=paths.converted("{method}", "{run}", split="val"),
        test=paths.converted("{method}", "{run}", split="test"),
    log:
        paths.log("convert_features", "{method}.{run}.seed{seed}"),
    benchmark:
        paths.benchmark("convert_features", "{method}.{run}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: flow.evaluate_threads
    resources:
        gpu=flow.one_gpu,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        code=flow.step_code("convert_features", "CONVERT"),
        needs=words(flow.needs("convert")),
    shell:
        "python -m workflow_scripts.convert_features {wildcards.method} --needs {params.needs:q} --output-train {output.train}"
        " --output-val {output.val} --output-test {output.test} > {log} 2>&1"
