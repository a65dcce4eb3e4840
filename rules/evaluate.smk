rule evaluate:
    input:
        files(flow.needs("evaluate")),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        listed=paths.classes,
    output:
        metrics=run.metrics,
    log:
        paths.log("evaluate", "{method}.{run}.seed{seed}"),
    benchmark:
        paths.benchmark("evaluate", "{method}.{run}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: flow.evaluate_threads
    resources:
        gpu=flow.evaluate_gpus,
        mem_mb=flow.evaluate_memory,
        runtime=cfg.compute.runtime,
    params:
        settings=flow.settings_beside("evaluation"),
        code=flow.step_code("evaluate", "EVALUATE"),
        needs=words(flow.needs("evaluate")),
    shell:
        "python -m workflow_scripts.evaluate {wildcards.method} --run {wildcards.run} --seed {wildcards.seed}"
        " --needs {params.needs:q} --metrics {output.metrics} --settings {params.settings:q} > {log} 2>&1"


rule measure:
    input:
        files(flow.needs("measure")),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        listed=paths.classes,
    output:
        table=paths.latency(),
    log:
        paths.log("measure", "{method}"),
    benchmark:
        paths.benchmark("measure", "{method}")
    conda:
        "../envs/train.yaml"
    # Alone on this machine, for what it measures is time; on a cluster there is no number of cores to ask for.
    threads: workflow.resource_settings.cores or 2
    resources:
        gpu=flow.one_gpu,
        mem_mb=cfg.compute.mem_mb,
        runtime=60,
    params:
        settings=flow.settings_beside("measure_settings"),
        code=flow.step_code("measure", "MEASURE"),
        needs=words(flow.needs("measure")),
        rounds=cfg.latency.rounds,
    shell:
        "python -m workflow_scripts.measure {wildcards.method} --needs {params.needs:q} --rounds {params.rounds}"
        " --output {output.table} --settings {params.settings:q} > {log} 2>&1"


rule tabulate:
    input:
        files(lambda wildcards: flow.table(wildcards).needs),
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        listed=paths.classes,
    output:
        table=paths.table(),
    log:
        paths.log("tabulate", "{folder}.{table}"),
    benchmark:
        paths.benchmark("tabulate", "{folder}.{table}")
    conda:
        "../envs/train.yaml"
    threads: flow.table_threads
    resources:
        gpu=flow.table_gpus,
        mem_mb=flow.table_memory,
        runtime=cfg.compute.runtime,
    params:
        settings=flow.table_settings,
        code=flow.table_code,
        make=lambda wildcards: flow.table(wildcards).make,
        needs=words(lambda wildcards: flow.table(wildcards).needs),
    shell:
        "python -m workflow_scripts.tabulate {params.make} --needs {params.needs:q} --table {output.table}"
        " --settings {params.settings:q} > {log} 2>&1"
