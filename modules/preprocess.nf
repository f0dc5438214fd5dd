/** Crop and resample a batch of cases into stores. `manifest` has only these cases (lib/Contents.groovy), and `plan`, JSON
    text, only what matters here, so that other changes of the data or the plan repeat nothing. The manifest has the
    checksums of the input's files, so their times need not count. */
process PREPROCESS {
    tag "${meta.id}"
    label 'cases'
    cache 'lenient'

    input:
    tuple val(meta), path(manifest, stageAs: 'manifest.json')
    val plan
    path input, stageAs: 'input'
    val code

    output:
    path "stores-${meta.batch}", emit: stores

    script:
    """
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
