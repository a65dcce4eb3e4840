rule export:
    input:
        files(flow.needs("export")),
        # Not read: a direct input of the checkpoint's listing, see extract_frames.
        listed=paths.classes,
    output:
        folder=directory(paths.exported()),
    log:
        paths.log("export", "{method}.{export}"),
    benchmark:
        paths.benchmark("export", "{method}.{export}")
    wildcard_constraints:
        export=flow.exported_names,
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=cfg.compute.mem_mb,
        runtime=60,
    params:
        settings=section(cfg, "frames"),
        code=flow.export_code,
        needs=words(flow.needs("export")),
    shell:
        "python -m workflow_scripts.export {wildcards.method} --needs {params.needs:q} --output {output.folder}"
        " --settings {params.settings:q} > {log} 2>&1"
