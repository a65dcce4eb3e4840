rule generate_demo:
    output:
        annotations=paths.demo_annotations,
    log:
        paths.log("generate_demo", "{split}"),
    benchmark:
        paths.benchmark("generate_demo", "{split}")
    conda:
        "../envs/video.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        settings=demo_settings,
        code=code("workflow_scripts.generate_demo"),
        folder=f"{paths.demo}/{{split}}",
    shell:
        "python -m workflow_scripts.generate_demo --split {wildcards.split}"
        " --folder {params.folder:q}"
        " --annotation {output.annotations} --settings {params.settings:q} > {log} 2>&1"
