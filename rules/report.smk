rule build_report:
    input:
        metrics=all_metrics() + all_probe_metrics(),
        probes=probe_table(),
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
        probes=lambda wildcards, input: (
            f"--probes {input.probes}" if input.probes else ""
        ),
    shell:
        "python -m workflow_scripts.build_report {input.metrics} --tfd {input.tfd} --any-frame {input.any_frame}"
        " --figure {input.figure} --excluded {input.excluded} {params.probes} --page {output.page}"
        " --settings {params.settings:q} > {log} 2>&1"
