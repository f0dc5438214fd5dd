/** Crop and resample a batch of cases into stores. `manifest` and `plan` are JSON text with only what matters
    here, so that other changes of the data or the plan repeat nothing. The manifest has the checksums of the
    input's files, so their times need not count. */
process PREPROCESS {
    tag "${meta.id}"
    label 'cases'
    cache 'lenient'

    input:
    tuple val(meta), val(manifest)
    val plan
    path input, stageAs: 'input'
    val code

    output:
    path "stores-${meta.batch}", emit: stores

    script:
    """
    cat > manifest.json <<'JSON'
    ${manifest}
    JSON
    cat > plan.json <<'JSON'
    ${plan}
    JSON
    pocket-preprocess --manifest manifest.json --plan plan.json --input input ${task.ext.args ?: ''} -o stores-${meta.batch}
    """

    stub:
    """
    mkdir stores-${meta.batch}
    """
}
