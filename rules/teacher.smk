rule fit_teacher_head:
    input:
        unpack(label_of),
        train=lambda wildcards: features_of(TEACHER, "train"),
        val=lambda wildcards: features_of(TEACHER, "val"),
        test=lambda wildcards: features_of(TEACHER, "test"),
        # Its text tower makes the zero-shot head.
        network=lambda wildcards: files_of(TEACHER),
        # Waits for the checks of the data set, as a training does.
        checked=ancient(paths.excluded),
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        listed=paths.classes,
    output:
        weights=paths.teacher.weights,
        config=paths.teacher.config,
        history=paths.teacher.history,
        predictions=paths.teacher.predictions,
        metrics=paths.teacher.metrics,
    log:
        paths.log("fit_teacher_head", "{label}"),
    benchmark:
        paths.benchmark("fit_teacher_head", "{label}")
    priority: 1000
    conda:
        "../envs/train.yaml"
    threads: cfg.student.teacher.cpu_threads
    resources:
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=teacher_head_settings,
        code=code("workflow_scripts.fit_teacher_head"),
        network=lambda wildcards: teacher_settings(),
        train=lambda wildcards: teacher_word("--train", "train"),
        val=lambda wildcards: teacher_word("--val", "val"),
        test=lambda wildcards: teacher_word("--test", "test"),
        marked=marked_of(cfg.student),
        run_dir=paths.teacher.folder,
    shell:
        "python -m workflow_scripts.fit_teacher_head {params.train} {params.val} {params.test}"
        " --classes {input.classes} --labels {input.labels} {params.marked} --label {wildcards.label}"
        " --network {params.network:q} --run-dir {params.run_dir} --settings {params.settings:q} > {log} 2>&1"


rule tabulate_teachers:
    input:
        metrics=expand(paths.teacher.metrics, label=judged_labels()),
    output:
        table=paths.teacher_table,
    log:
        paths.log("tabulate_teachers"),
    benchmark:
        paths.benchmark("tabulate_teachers")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.tabulate_teachers"),
    shell:
        "python -m workflow_scripts.tabulate_teachers {input.metrics} --table {output.table} > {log} 2>&1"
