rule measure_trimodel:
    input:
        weights=first_trimodels(paths.trimodel.weights),
        configs=first_trimodels(paths.trimodel.config),
        teacher_head=of_network(cfg.trimodel.teacher, paths.trimodel_head.weights),
        assistant_head=of_network(cfg.trimodel.assistant, paths.trimodel_head.weights),
        head_configs=both_heads(paths.trimodel_head.config),
        networks=lambda wildcards: [
            file for name in both_networks() for file in files_of(name)
        ],
    output:
        table=paths.trimodel_latency,
    log:
        paths.log("measure_trimodel"),
    benchmark:
        paths.benchmark("measure_trimodel")
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
        code=code("workflow_scripts.measure_trimodel", module_of("videomae")),
        students=timed_trimodels(),
        teacher=lambda wildcards: network_settings(cfg.trimodel.teacher),
        assistant=lambda wildcards: network_settings(cfg.trimodel.assistant),
    shell:
        "python -m workflow_scripts.measure_trimodel {params.students}"
        " --teacher {params.teacher:q} --teacher-head {input.teacher_head}"
        " --assistant {params.assistant:q} --assistant-head {input.assistant_head} --output {output.table}"
        " --rounds {params.rounds} > {log} 2>&1"


rule tabulate_trimodel:
    input:
        metrics=all_trimodels(paths.trimodel.metrics),
        # Read beside the metrics, clip by clip.
        predictions=all_trimodels(paths.trimodel.predictions),
        teacher=of_network(cfg.trimodel.teacher, paths.trimodel_head.metrics),
        assistant=of_network(cfg.trimodel.assistant, paths.trimodel_head.metrics),
        heads=both_heads(paths.trimodel_head.predictions),
        classes=paths.label_classes.format(label=cfg.trimodel_label),
        latency=paths.trimodel_latency,
    output:
        table=paths.trimodel_table,
        per_class=paths.trimodel_classes,
        networks=paths.trimodel_networks,
    log:
        paths.log("tabulate_trimodel"),
    benchmark:
        paths.benchmark("tabulate_trimodel")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.tabulate_trimodel"),
        baseline=cfg.trimodel.baseline,
        normal=normal_class(),
    shell:
        "python -m workflow_scripts.tabulate_trimodel {input.metrics} --teacher {input.teacher}"
        " --assistant {input.assistant} --classes {input.classes} --latency {input.latency}"
        " --baseline {params.baseline} {params.normal} --table {output.table} --per-class {output.per_class}"
        " --networks {output.networks} > {log} 2>&1"
