rule fit_trimodel_head:
    input:
        train=features("train"),
        val=features("val"),
        test=features("test"),
        classes=paths.label_classes.format(label=cfg.trimodel_label),
        labels=paths.labels.format(label=cfg.trimodel_label),
        # Waits for the checks of the data set, as a training does.
        checked=ancient(paths.excluded),
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        listed=paths.classes,
    output:
        weights=paths.trimodel_head.weights,
        config=paths.trimodel_head.config,
        history=paths.trimodel_head.history,
        predictions=paths.trimodel_head.predictions,
        metrics=paths.trimodel_head.metrics,
    log:
        paths.log("fit_trimodel_head", "{backbone}"),
    benchmark:
        paths.benchmark("fit_trimodel_head", "{backbone}")
    priority: 1000
    conda:
        "../envs/train.yaml"
    threads: cfg.trimodel.gate.cpu_threads
    resources:
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=lambda wildcards: canonical(cfg.trimodel.gate),
        code=code("workflow_scripts.fit_trimodel_head"),
        train=each_feature_shard("--train", "train"),
        val=each_feature_shard("--val", "val"),
        test=each_feature_shard("--test", "test"),
        marked=marked_of(cfg.trimodel),
        label=cfg.trimodel_label,
        run_dir=paths.trimodel_head.folder,
    shell:
        "python -m workflow_scripts.fit_trimodel_head {params.train} {params.val} {params.test}"
        " --classes {input.classes} --labels {input.labels} {params.marked} --label {params.label}"
        " --network {wildcards.backbone} --run-dir {params.run_dir} --settings {params.settings:q} > {log} 2>&1"


rule train_trimodel:
    input:
        unpack(frozen_files),
        train=frames("train"),
        val=frames("val"),
        classes=paths.label_classes.format(label=cfg.trimodel_label),
        labels=paths.labels.format(label=cfg.trimodel_label),
        start=trimodel_start,
        # Neither is read: see train_ffn and extract_frames.
        checked=ancient(paths.excluded),
        listed=paths.classes,
    output:
        weights=paths.trimodel.weights,
        config=paths.trimodel.config,
        history=paths.trimodel.history,
        network=directory(paths.trimodel_network),
    log:
        paths.log("train_trimodel", "{trimodel}.seed{seed}"),
    benchmark:
        paths.benchmark("train_trimodel", "{trimodel}.seed{seed}")
    priority: trimodel_work
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: training_cores(trimodel_of(wildcards))
    resources:
        gpu=cfg.compute.gpus,
        launch=launch,
        workers=cfg.compute.workers,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=lambda wildcards: canonical(trimodel_of(wildcards)),
        code=code("workflow_scripts.train_trimodel", module_of("videomae")),
        train=each_shard("--train", "train"),
        val=each_shard("--val", "val"),
        start=trimodel_start_settings,
        marked=marked_of(cfg.trimodel),
        frozen=frozen_options,
        label=cfg.trimodel_label,
        run_dir=paths.trimodel.folder,
    shell:
        "python -m {resources.launch}workflow_scripts.train_trimodel {params.train} {params.val} --classes {input.classes}"
        " --labels {input.labels} {params.marked} --start {params.start:q} {params.frozen}"
        " --variant {wildcards.trimodel} --label {params.label} --run-dir {params.run_dir} --seed {wildcards.seed}"
        " --workers {resources.workers} --settings {params.settings:q} > {log} 2>&1"


rule predict_trimodel:
    input:
        weights=paths.trimodel.weights,
        config=paths.trimodel.config,
        test=frames("test"),
        labels=paths.labels.format(label=cfg.trimodel_label),
        teacher=of_network(cfg.trimodel.teacher, paths.trimodel_head.predictions),
        assistant=of_network(cfg.trimodel.assistant, paths.trimodel_head.predictions),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        listed=paths.classes,
    output:
        predictions=paths.trimodel.predictions,
        efficiency=paths.trimodel.efficiency,
    log:
        paths.log("predict_trimodel", "{trimodel}.seed{seed}"),
    benchmark:
        paths.benchmark("predict_trimodel", "{trimodel}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: max(cfg.compute.workers, trimodel_of(wildcards).cpu_threads)
    resources:
        gpu=one_gpu,
        workers=cfg.compute.workers,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        code=code("workflow_scripts.predict_trimodel"),
        test=each_shard("--test", "test"),
    shell:
        "python -m workflow_scripts.predict_trimodel {input.weights} {params.test} --labels {input.labels}"
        " --teacher {input.teacher} --assistant {input.assistant} --predictions {output.predictions}"
        " --efficiency {output.efficiency} --workers {resources.workers} > {log} 2>&1"


rule evaluate_trimodel:
    input:
        predictions=paths.trimodel.predictions,
        config=paths.trimodel.config,
        history=paths.trimodel.history,
        efficiency=paths.trimodel.efficiency,
    output:
        metrics=paths.trimodel.metrics,
    log:
        paths.log("evaluate_trimodel", "{trimodel}.seed{seed}"),
    benchmark:
        paths.benchmark("evaluate_trimodel", "{trimodel}.seed{seed}")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.evaluate_trimodel"),
        normal=normal_class(),
    shell:
        "python -m workflow_scripts.evaluate_trimodel --predictions {input.predictions} --config {input.config}"
        " --history {input.history} --efficiency {input.efficiency} {params.normal} --metrics {output.metrics}"
        " > {log} 2>&1"
