rule draw:
    input:
        files(lambda wildcards: flow.report.figure(wildcards).needs),
        # Not read: a direct input of the listing of list_videos, a Snakemake checkpoint; see extract_frames.
        listed=paths.classes,
    output:
        figure=report(
            paths.figure,
            caption="captions/figure.rst",
            category=lambda wildcards: flow.report.figure(wildcards).category,
        ),
        bitmap=paths.bitmap(paths.figure),
    log:
        paths.log("draw", "{figure}"),
    benchmark:
        paths.benchmark("draw", "{figure}")
    wildcard_constraints:
        figure=flow.alternatives(flow.report.figures),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=flow.report.figure_code,
        draw=lambda wildcards: flow.report.figure(wildcards).draw,
        caption=lambda wildcards: flow.report.figure(wildcards).caption,
        needs=words(lambda wildcards: flow.report.figure(wildcards).needs),
    shell:
        "python -m workflow_scripts.draw {params.draw} --needs {params.needs:q}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"


rule draw_dag:
    output:
        figure=report(
            paths.figure.format(figure="dag"),
            caption="captions/figure.rst",
            category="Workflow",
        ),
        bitmap=paths.bitmap(paths.figure.format(figure="dag")),
    log:
        paths.log("draw_dag"),
    benchmark:
        paths.benchmark("draw_dag")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("draw_dag"),
        caption=flow.report.dag_caption,
        graph=lambda wildcards: flow.report.rule_graph(
            workflow.rules, flow.final_output()
        ),
    shell:
        "python -m workflow_scripts.draw_dag --graph {params.graph:q}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"


rule tabulate_report:
    input:
        results=flow.report.sources.files,
        references=flow.report.project_file("config", "references.yaml"),
    output:
        tables=report(
            flow.report.report_tables("csv"),
            caption="captions/table.rst",
            category="Tables",
        ),
        markdown=flow.report.report_tables("md"),
        latex=flow.report.report_tables("tex"),
    log:
        paths.log("tabulate_report"),
    benchmark:
        paths.benchmark("tabulate_report")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=flow.report.report_code("tabulate_report"),
        sources=flow.report.report_words,
        kinds=flow.report.kind_words,
        adapter=cfg.data.adapter,
        benchmarks=paths.benchmarks,
        folder=lambda wildcards, output: Path(output.tables[0]).parent,
    shell:
        "python -m workflow_scripts.tabulate_report {params.sources} --references {input.references}"
        " {params.kinds} --adapter {params.adapter} --benchmarks {params.benchmarks} --folder {params.folder}"
        " > {log} 2>&1"


rule build_report:
    input:
        tables=flow.report.report_tables("csv"),
        figures=flow.report.report_figures,
        templates=flow.report.project_files("vidkd", "report", "templates"),
    output:
        page=report(paths.report, caption="captions/page.rst", category="Page"),
    log:
        paths.log("build_report"),
    benchmark:
        paths.benchmark("build_report")
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=section(cfg, "report"),
        code=flow.report.report_code("build_report"),
        shown=flow.report.page_words,
        captions=flow.report.captions,
    shell:
        "python -m workflow_scripts.build_report {params.shown} --captions {params.captions:q} --page {output.page}"
        " --settings {params.settings:q} > {log} 2>&1"
