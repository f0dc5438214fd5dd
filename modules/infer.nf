/** Segment or classify a batch of a fold's test cases with the network that did not see them. */
process INFER {
    tag "${meta.id}, batch ${meta.batch}"
    label 'network'
    cache 'lenient'

    input:
    tuple val(meta), path(model), val(manifest)
    path input, stageAs: 'input'
    val code

    output:
    tuple val(meta), path('predictions/*'), emit: predictions

    script:
    """
    cat > manifest.json <<'JSON'
    ${manifest}
    JSON
    pocket-infer --model ${model} --manifest manifest.json --input input --threads ${task.cpus} \\
        ${task.ext.args ?: ''} -o predictions
    """

    stub:
    """
    mkdir predictions; touch predictions/${meta.id}-${meta.batch}.nii.gz
    """
}
