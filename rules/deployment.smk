rule draw_student:
    input:
        histories=all_students(paths.student.history),
        predictions=[
            first_student(name, paths.student.predictions)
            for name in cfg.student.variants
        ],
        teacher=of_teacher(paths.teacher.predictions),
        classes=paths.label_classes.format(label=cfg.student_label),
    output:
        curves=report(
            paths.student_curves,
            caption="captions/student_curves.rst",
            category="Student",
        ),
        confusion=report(
            paths.student_confusion,
            caption="captions/student_confusion.rst",
            category="Student",
        ),
        curves_bitmap=paths.bitmap(paths.student_curves),
        confusion_bitmap=paths.bitmap(paths.student_confusion),
    log:
        paths.log("draw_student"),
    benchmark:
        paths.benchmark("draw_student")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_student"),
        runs=drawn_students(),
    shell:
        "python -m workflow_scripts.draw_student {params.runs} --teacher {input.teacher} --classes {input.classes}"
        " --curves {output.curves} --curves {output.curves_bitmap}"
        " --confusion {output.confusion} --confusion {output.confusion_bitmap} > {log} 2>&1"


rule draw_attention:
    input:
        predictions=first_student(SHOWN, paths.student.predictions),
        config=first_student(SHOWN, paths.student.config),
        frames=frames("test"),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        listed=paths.classes,
    output:
        figure=report(
            paths.student_attention,
            caption="captions/student_attention.rst",
            category="Student",
        ),
        bitmap=paths.bitmap(paths.student_attention),
    log:
        paths.log("draw_attention"),
    benchmark:
        paths.benchmark("draw_attention")
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_attention"),
        frames=each_shard("--frames-store", "test"),
    shell:
        "python -m workflow_scripts.draw_attention --predictions {input.predictions} --config {input.config}"
        " {params.frames} --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"


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
