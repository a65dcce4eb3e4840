rule build_report:
    input:
        metrics=all_metrics() + all_probe_metrics() + all_distilled_metrics(),
        optional=list(optional_results().values()),
        tfd=paths.tfd,
        any_frame=paths.any_frame,
        figure=paths.tfd_figure,
        excluded=paths.excluded,
        templates=templates(),
    output:
        page=paths.report,
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
        optional=optional_sections,
    shell:
        "python -m workflow_scripts.build_report {input.metrics} --tfd {input.tfd} --any-frame {input.any_frame}"
        " --figure {input.figure} --excluded {input.excluded} {params.optional} --page {output.page}"
        " --settings {params.settings:q} > {log} 2>&1"
