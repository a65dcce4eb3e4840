from vidkd.report.rule_graph import rule_graph


rule draw_dag:
    output:
        figure=report(
            paths.figure.format(figure="dag"),
            caption="captions/dag.rst",
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
        code=code("workflow_scripts.draw_dag"),
        graph=lambda wildcards: json.dumps(rule_graph(workflow.rules, final_output())),
    shell:
        "python -m workflow_scripts.draw_dag --graph {params.graph:q}"
        " --figure {output.figure} --figure {output.bitmap} > {log} 2>&1"
