# Where the network is: on the login node of a cluster, never as a job of it.
localrules:
    download_weights,


# No output, nor a benchmark, which is one: each time it is asked for, it sees what is there and fetches the rest.
rule download_weights:
    log:
        paths.log("download_weights"),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=1440,
    params:
        settings=weights_settings,
        code=code("workflow_scripts.download_weights"),
    shell:
        "python -m workflow_scripts.download_weights --settings {params.settings:q} 2>&1 | tee {log}"
