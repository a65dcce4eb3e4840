rule train_converter:
    input:
        student_train=features_of(STUDENT, "train"),
        student_val=features_of(STUDENT, "val"),
        teacher_train=teacher_features("train"),
        teacher_val=teacher_features("val"),
        # Waits for the checks of the data set, as a training does.
        checked=ancient(paths.excluded),
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        listed=paths.classes,
    output:
        weights=paths.converters.weights,
        config=paths.converters.config,
        history=paths.converters.history,
    log:
        paths.log("train_converter", "{converter}.{teacher}.seed{seed}"),
    benchmark:
        paths.benchmark("train_converter", "{converter}.{teacher}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: cfg.converters.variant(wildcards.converter).cpu_threads
    resources:
        gpu=one_gpu,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        settings=converter_settings,
        code=code("workflow_scripts.train_converter"),
        student=STUDENT,
        student_train=each_student_shard("--student-train", "train"),
        student_val=each_student_shard("--student-val", "val"),
        teacher_train=each_teacher_shard("--teacher-train", "train"),
        teacher_val=each_teacher_shard("--teacher-val", "val"),
        run_dir=paths.converters.folder,
    shell:
        "python -m workflow_scripts.train_converter {params.student_train} {params.student_val}"
        " {params.teacher_train} {params.teacher_val} --converter {wildcards.converter} --student {params.student}"
        " --teacher {wildcards.teacher} --run-dir {params.run_dir} --seed {wildcards.seed}"
        " --settings {params.settings:q} > {log} 2>&1"


rule convert_features:
    input:
        weights=paths.converters.weights,
        config=paths.converters.config,
        train=features_of(STUDENT, "train"),
        val=features_of(STUDENT, "val"),
        test=features_of(STUDENT, "test"),
    output:
        train=paths.converted.replace("{split}", "train"),
        val=paths.converted.replace("{split}", "val"),
        test=paths.converted.replace("{split}", "test"),
    log:
        paths.log("convert_features", "{converter}.{teacher}.seed{seed}"),
    benchmark:
        paths.benchmark("convert_features", "{converter}.{teacher}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: cfg.converters.variant(wildcards.converter).cpu_threads
    resources:
        gpu=one_gpu,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        code=code("workflow_scripts.convert_features"),
        train=each_student_shard("--train", "train"),
        val=each_student_shard("--val", "val"),
        test=each_student_shard("--test", "test"),
    shell:
        "python -m workflow_scripts.convert_features --weights {input.weights} {params.train} {params.val}"
        " {params.test} --output-train {output.train} --output-val {output.val} --output-test {output.test}"
        " > {log} 2>&1"


rule evaluate_converter:
    input:
        weights=paths.converters.weights,
        config=paths.converters.config,
        probe=probe_of_teacher(paths.probes.weights),
        # Read beside the weights.
        probe_config=probe_of_teacher(paths.probes.config),
        teacher_train=teacher_features("train"),
        student_val=features_of(STUDENT, "val"),
        teacher_val=teacher_features("val"),
        student_test=features_of(STUDENT, "test"),
        teacher_test=teacher_features("test"),
    output:
        metrics=paths.converters.metrics,
    log:
        paths.log("evaluate_converter", "{converter}.{teacher}.seed{seed}"),
    benchmark:
        paths.benchmark("evaluate_converter", "{converter}.{teacher}.seed{seed}")
    conda:
        "../envs/train.yaml"
    threads: lambda wildcards: cfg.converters.variant(wildcards.converter).cpu_threads
    resources:
        gpu=one_gpu,
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        code=code("workflow_scripts.evaluate_converter"),
        teacher_train=each_teacher_shard("--teacher-train", "train"),
        student_val=each_student_shard("--student-val", "val"),
        teacher_val=each_teacher_shard("--teacher-val", "val"),
        student_test=each_student_shard("--student-test", "test"),
        teacher_test=each_teacher_shard("--teacher-test", "test"),
    shell:
        "python -m workflow_scripts.evaluate_converter --weights {input.weights} --probe {input.probe}"
        " {params.teacher_train} {params.student_val} {params.teacher_val} {params.student_test}"
        " {params.teacher_test} --metrics {output.metrics} > {log} 2>&1"


rule tabulate_converters:
    input:
        metrics=all_converters(paths.converters.metrics),
    output:
        table=paths.converter_table,
    log:
        paths.log("tabulate_converters"),
    benchmark:
        paths.benchmark("tabulate_converters")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.tabulate_converters"),
    shell:
        "python -m workflow_scripts.tabulate_converters {input.metrics} --table {output.table} > {log} 2>&1"


rule draw_converters:
    input:
        table=paths.converter_table,
    output:
        figure=report(
            figure("converters"),
            caption="captions/converters.rst",
            category="Converters",
        ),
        bitmap=paths.bitmap(figure("converters")),
    log:
        paths.log("draw_converters"),
    benchmark:
        paths.benchmark("draw_converters")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_converters"),
    shell:
        "python -m workflow_scripts.draw_converters --table {input.table}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"


rule compare_features:
    input:
        student=features_of(STUDENT, "test"),
        teachers=[
            file
            for name in cfg.converters.teachers
            for file in features_of(name, "test")
        ],
        weights=list(first_runs("converters", "weights").values()),
        # Read beside the weights.
        configs=list(first_runs("converters", "config").values()),
    output:
        table=paths.similarity,
    log:
        paths.log("compare_features"),
    benchmark:
        paths.benchmark("compare_features")
    conda:
        "../envs/train.yaml"
    threads: cfg.converters.base.cpu_threads
    resources:
        mem_mb=cfg.compute.mem_mb,
        runtime=cfg.compute.runtime,
    params:
        code=code("workflow_scripts.compare_features"),
        features=each_compared_shard("--features"),
    shell:
        "python -m workflow_scripts.compare_features {input.weights} {params.features}"
        " --table {output.table} > {log} 2>&1"
