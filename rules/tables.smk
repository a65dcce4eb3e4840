rule tabulate_report:
    input:
        results=report_sources.files,
        references=os.path.relpath(Path(workflow.basedir, "config", "references.yaml")),
    output:
        tables=report(
            report_tables("csv"),
            caption="captions/table.rst",
            category="Tables",
        ),
        markdown=report_tables("md"),
        latex=report_tables("tex"),
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
        code=code("workflow_scripts.tabulate_report"),
        sources=" ".join(report_sources.words),
        protocols=lambda wildcards: protocols_text(our_protocols(cfg)),
        adapter=cfg.data.adapter,
        benchmarks=Path(paths.benchmark("tabulate_report")).parents[1],
        folder=Path(paths.report_table).parent,
    shell:
        "python -m workflow_scripts.tabulate_report {params.sources} --references {input.references}"
        " --protocols {params.protocols:q} --adapter {params.adapter} --benchmarks {params.benchmarks}"
        " --folder {params.folder} > {log} 2>&1"
