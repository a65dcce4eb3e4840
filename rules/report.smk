rule build_report:
    input:
        tables=report_tables("csv"),
        figures=list(report_figures().values()),
        templates=templates(),
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
        settings=settings("report"),
        code=code("workflow_scripts.build_report"),
        shown=shown_results(),
    shell:
        "python -m workflow_scripts.build_report {params.shown} --page {output.page}"
        " --settings {params.settings:q} > {log} 2>&1"
