rule list_labels:
    input:
        annotations=annotations,
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
        settings=label_settings,
        code=code(
            "workflow_scripts.list_labels", f"vidkd.data.adapters.{cfg.data.adapter}"
        ),
        root=data_root(),
        annotations=annotations_root(),
    shell:
        "python -m workflow_scripts.list_labels --root {params.root:q} --annotations {params.annotations:q}"
        " --output {output.labels} --classes {output.classes} --settings {params.settings:q} > {log} 2>&1"


rule fit_probe:
    input:
        unpack(label_files),
        train=features("train"),
        val=features("val"),
        test=features("test"),
        # Waits for the checks of the data set, as a training does.
        checked=ancient(paths.excluded),
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        listed=paths.classes,
    output:
        weights=paths.probes.weights,
        config=paths.probes.config,
        history=paths.probes.history,
        predictions=paths.probes.predictions,
    log:
        paths.log("fit_probe", "{backbone}.{head}.{label}.seed{seed}"),
    benchmark:
        paths.benchmark("fit_probe", "{backbone}.{head}.{label}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: getattr(cfg.probes, wildcards.head).cpu_threads
    resources:
        gpu=lambda wildcards: cfg.compute.gpus if wildcards.head == "attentive" else 0,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=head_settings,
        code=code("workflow_scripts.fit_probe"),
        # Of its own head alone: no import names it.
        head=lambda wildcards: code(module_of_head(wildcards.head)),
        train=each_feature_shard("--train", "train"),
        val=each_feature_shard("--val", "val"),
        test=each_feature_shard("--test", "test"),
        labels=lambda wildcards, input: (
            f"--labels {input.labels}" if hasattr(input, "labels") else ""
        ),
        run_dir=paths.probes.folder,
    shell:
        "python -m workflow_scripts.fit_probe {params.train} {params.val} {params.test}"
        " --classes {input.classes} {params.labels} --backbone {wildcards.backbone} --label {wildcards.label}"
        " --head {wildcards.head} --run-dir {params.run_dir} --seed {wildcards.seed}"
        " --settings {params.settings:q} > {log} 2>&1"


rule evaluate_probe:
    input:
        predictions=paths.probes.predictions,
        config=paths.probes.config,
    output:
        metrics=paths.probes.metrics,
    log:
        paths.log("evaluate_probe", "{backbone}.{head}.{label}.seed{seed}"),
    benchmark:
        paths.benchmark("evaluate_probe", "{backbone}.{head}.{label}.seed{seed}")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings("probes.evaluate"),
        code=code("workflow_scripts.evaluate_probe"),
    shell:
        "python -m workflow_scripts.evaluate_probe --predictions {input.predictions} --config {input.config}"
        " --metrics {output.metrics} --settings {params.settings:q} > {log} 2>&1"


rule tabulate_probes:
    input:
        metrics=all_probe_metrics(),
    output:
        table=paths.probe_table,
    log:
        paths.log("tabulate_probes"),
    benchmark:
        paths.benchmark("tabulate_probes")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings("probes.evaluate"),
        code=code("workflow_scripts.tabulate_probes"),
    shell:
        "python -m workflow_scripts.tabulate_probes {input.metrics} --table {output.table}"
        " --settings {params.settings:q} > {log} 2>&1"
