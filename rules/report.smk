rule build_report:
    input:
        tables=report_tables("csv"),
        figures=list(report_figures().values()),
        templates=files_in("vidkd", "report", "templates"),
        captions=files_in("rules", "captions"),
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
        captions=lambda wildcards, input: Path(input.captions[0]).parent,
    shell:
        "python -m workflow_scripts.build_report {params.shown} --captions {params.captions} --page {output.page}"
        " --settings {params.settings:q} > {log} 2>&1"
