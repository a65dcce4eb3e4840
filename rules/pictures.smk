rule draw_clips:
    input:
        frames=frames("test"),
        classes=paths.classes,
    output:
        figure=report(
            figure("clips"),
            caption="captions/clips.rst",
            category="Data",
        ),
        bitmap=paths.bitmap(figure("clips")),
    log:
        paths.log("draw_clips"),
    benchmark:
        paths.benchmark("draw_clips")
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_clips"),
        frames=each_shard("--frames-store", "test"),
    shell:
        "python -m workflow_scripts.draw_clips --classes {input.classes} {params.frames}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"


rule draw_mistakes:
    input:
        predictions=mistaken_predictions,
        classes=lambda wildcards: classes_of(wildcards.method),
        frames=frames("test"),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        listed=paths.classes,
    output:
        figure=report(
            figure("mistakes_{method}"),
            caption="captions/mistakes.rst",
            category=category,
        ),
        bitmap=paths.bitmap(figure("mistakes_{method}")),
    log:
        paths.log("draw_mistakes", "{method}"),
    benchmark:
        paths.benchmark("draw_mistakes", "{method}")
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_mistakes"),
        frames=each_shard("--frames-store", "test"),
        variant=lambda wildcards: mistaken(wildcards.method),
    shell:
        "python -m workflow_scripts.draw_mistakes --variant {params.variant} --predictions {input.predictions}"
        " --classes {input.classes} {params.frames}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"


rule draw_attention:
    input:
        predictions=first_student(SHOWN, paths.student.predictions),
        config=first_student(SHOWN, paths.student.config),
        frames=frames("test"),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        listed=paths.classes,
    output:
        figure=report(
            figure("attention_student"),
            caption="captions/attention.rst",
            category="Student",
        ),
        bitmap=paths.bitmap(figure("attention_student")),
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
