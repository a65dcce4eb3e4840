rule train_student:
    input:
        unpack(teaching_files),
        train=frames("train"),
        val=frames("val"),
        classes=paths.label_classes.format(label=cfg.student_label),
        labels=paths.labels.format(label=cfg.student_label),
        start=student_start,
        # Waits for the checks of the data set; a check made anew is no reason to train anew.
        checked=ancient(paths.excluded),
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        listed=paths.classes,
    output:
        weights=paths.student.weights,
        config=paths.student.config,
        history=paths.student.history,
    log:
        paths.log("train_student", "{student}.seed{seed}"),
    benchmark:
        paths.benchmark("train_student", "{student}.seed{seed}")
    priority: student_work
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: training_cores(student_of(wildcards))
    resources:
        gpu=cfg.compute.gpus,
        launch=launch,
        workers=cfg.compute.workers,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=student_settings,
        code=code("workflow_scripts.train_student"),
        train=each_shard("--train", "train"),
        val=each_shard("--val", "val"),
        start=start_settings,
        marked=marked_of(cfg.student),
        teaching=teaching_options,
        label=cfg.student_label,
        run_dir=paths.student.folder,
    shell:
        "python -m {resources.launch}workflow_scripts.train_student {params.train} {params.val} --classes {input.classes}"
        " --labels {input.labels} {params.marked} --start {params.start:q} {params.teaching}"
        " --variant {wildcards.student} --label {params.label} --run-dir {params.run_dir} --seed {wildcards.seed}"
        " --workers {resources.workers} --settings {params.settings:q} > {log} 2>&1"


rule predict_student:
    input:
        weights=paths.student.weights,
        config=paths.student.config,
        test=frames("test"),
        labels=paths.labels.format(label=cfg.student_label),
        head=of_teacher(paths.teacher.weights),
        head_config=of_teacher(paths.teacher.config),
        teacher_test=lambda wildcards: features_of(TEACHER, "test"),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        listed=paths.classes,
    output:
        predictions=paths.student.predictions,
        efficiency=paths.student.efficiency,
    log:
        paths.log("predict_student", "{student}.seed{seed}"),
    benchmark:
        paths.benchmark("predict_student", "{student}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: max(cfg.compute.workers, student_of(wildcards).cpu_threads)
    resources:
        gpu=one_gpu,
        workers=cfg.compute.workers,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        code=code("workflow_scripts.predict_student"),
        test=each_shard("--test", "test"),
        teacher_test=lambda wildcards: teacher_word("--teacher-test", "test"),
    shell:
        "python -m workflow_scripts.predict_student {input.weights} {params.test} --labels {input.labels}"
        " --teacher-head {input.head} {params.teacher_test} --predictions {output.predictions}"
        " --efficiency {output.efficiency} --workers {resources.workers} > {log} 2>&1"


rule evaluate_student:
    input:
        predictions=paths.student.predictions,
        config=paths.student.config,
        efficiency=paths.student.efficiency,
    output:
        metrics=paths.student.metrics,
    log:
        paths.log("evaluate_student", "{student}.seed{seed}"),
    benchmark:
        paths.benchmark("evaluate_student", "{student}.seed{seed}")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.evaluate_student"),
    shell:
        "python -m workflow_scripts.evaluate_student --predictions {input.predictions} --config {input.config}"
        " --efficiency {input.efficiency} --metrics {output.metrics} > {log} 2>&1"


rule measure_student:
    input:
        weights=[
            first_student(name, paths.student.weights) for name in cfg.student.variants
        ],
        configs=[
            first_student(name, paths.student.config) for name in cfg.student.variants
        ],
        head=of_teacher(paths.teacher.weights),
        head_config=of_teacher(paths.teacher.config),
        teacher=files_of(TEACHER) if TEACHER else [],
    output:
        table=paths.student_latency,
    log:
        paths.log("measure_student"),
    benchmark:
        paths.benchmark("measure_student")
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
        code=code("workflow_scripts.measure_student"),
        students=timed_students(),
        teacher=lambda wildcards: teacher_settings(),
    shell:
        "python -m workflow_scripts.measure_student {params.students} --teacher-head {input.head}"
        " --teacher {params.teacher:q} --output {output.table} --rounds {params.rounds} > {log} 2>&1"


rule tabulate_student:
    input:
        metrics=all_students(paths.student.metrics),
        # Read beside the metrics, clip by clip.
        predictions=all_students(paths.student.predictions),
        teacher=of_teacher(paths.teacher.metrics),
        teacher_predictions=of_teacher(paths.teacher.predictions),
        latency=paths.student_latency,
    output:
        table=paths.student_table,
    log:
        paths.log("tabulate_student"),
    benchmark:
        paths.benchmark("tabulate_student")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.tabulate_student"),
        baseline=cfg.student.baseline,
    shell:
        "python -m workflow_scripts.tabulate_student {input.metrics} --teacher {input.teacher}"
        " --latency {input.latency} --baseline {params.baseline} --table {output.table} > {log} 2>&1"


rule export_student:
    input:
        weights=first_student(SHOWN, paths.student.weights),
        config=first_student(SHOWN, paths.student.config),
    output:
        folder=directory(paths.exported),
    log:
        paths.log("export_student"),
    benchmark:
        paths.benchmark("export_student")
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=cfg.compute.mem_mb,
        runtime=60,
    params:
        settings=settings("frames"),
        code=code("workflow_scripts.export_student"),
    shell:
        "python -m workflow_scripts.export_student --weights {input.weights} --output {output.folder}"
        " --settings {params.settings:q} > {log} 2>&1"
