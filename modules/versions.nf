/** The checksum of each step's code, which every other task takes so that -resume sees changed code;
    and the versions of the software. Asked anew in every run. */
process VERSIONS {
    tag "${workflow.manifest.version}"
    cache false

    input:
    val nextflow_version

    output:
    path 'versions.json', emit: json

    script:
    """
    pocket-code --versions --also nextflow=${nextflow_version} --json > versions.json
    """
}
