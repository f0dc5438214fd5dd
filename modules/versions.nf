/** The checksum of each step's code, which every other task takes so that -resume sees changed code;
    and the versions of the software. Asked anew in every run. The code that runs may come from an image: ends with
    exit code 2 when it is not that of the clone, whose folder python/ is `clone`. */
process VERSIONS {
    tag "${workflow.manifest.version}"
    cache false

    input:
    val nextflow_version
    path clone, stageAs: 'clone'

    output:
    path 'versions.json', emit: json

    script:
    """
    pocket-code --versions --clone ${clone} --also nextflow=${nextflow_version} \\
        ${task.container ? "--also ${Shell.word("container=${task.container.tokenize('/').last()}")}" : ''} --json > versions.json
    """
}
