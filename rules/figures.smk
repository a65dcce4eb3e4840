rule draw_curves:
    input:
        histories=run_files("history"),
        # Read beside the histories.
        configs=run_files("config"),
    output:
        figure=report(
            figure("curves_{method}"),
            caption="captions/curves.rst",
            category=category,
        ),
        bitmap=paths.bitmap(figure("curves_{method}")),
    log:
        paths.log("draw_curves", "{method}"),
    benchmark:
        paths.benchmark("draw_curves", "{method}")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_curves"),
        runs=run_words("history"),
    shell:
        "python -m workflow_scripts.draw_curves {params.runs}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"


rule draw_confusion:
    input:
        predictions=lambda wildcards: list(confused(wildcards.method).values()),
        classes=lambda wildcards: classes_of(wildcards.method),
    output:
        figure=report(
            figure("confusion_{method}"),
            caption="captions/confusion.rst",
            category=category,
        ),
        bitmap=paths.bitmap(figure("confusion_{method}")),
    log:
        paths.log("draw_confusion", "{method}"),
    benchmark:
        paths.benchmark("draw_confusion", "{method}")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_confusion"),
        runs=confused_words,
    shell:
        "python -m workflow_scripts.draw_confusion {params.runs} --classes {input.classes}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"


rule draw_per_class:
    input:
        table=paths.report_table.format(table="per_class"),
    output:
        figure=report(
            figure("per_class"),
            caption="captions/per_class.rst",
            category="Summary",
        ),
        bitmap=paths.bitmap(figure("per_class")),
    log:
        paths.log("draw_per_class"),
    benchmark:
        paths.benchmark("draw_per_class")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_per_class"),
    shell:
        "python -m workflow_scripts.draw_per_class --table {input.table}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"


rule draw_tradeoff:
    input:
        table=paths.report_table.format(table="efficiency"),
    output:
        figure=report(
            figure("tradeoff"),
            caption="captions/tradeoff.rst",
            category="Summary",
        ),
        bitmap=paths.bitmap(figure("tradeoff")),
    log:
        paths.log("draw_tradeoff"),
    benchmark:
        paths.benchmark("draw_tradeoff")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_tradeoff"),
    shell:
        "python -m workflow_scripts.draw_tradeoff --table {input.table}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"


rule draw_similarity:
    input:
        table=paths.similarity,
    output:
        figure=report(
            figure("similarity"),
            caption="captions/similarity.rst",
            category="Converters",
        ),
        bitmap=paths.bitmap(figure("similarity")),
    log:
        paths.log("draw_similarity"),
    benchmark:
        paths.benchmark("draw_similarity")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("workflow_scripts.draw_similarity"),
    shell:
        "python -m workflow_scripts.draw_similarity --table {input.table}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"
