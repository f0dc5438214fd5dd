/** Segment or classify a batch of a fold's test cases with the network that did not see them. */
process INFER {
    tag "${meta.id}, batch ${meta.batch}"
    label 'network'
    cache 'lenient'

    input:
    tuple val(meta), path(model), path(manifest, stageAs: 'manifest.json')
    path input, stageAs: 'input'
    val code

    output:
    tuple val(meta), path("predictions-${meta.batch}/*"), emit: predictions

    script:
    """
    pocket-infer --model ${model} --manifest manifest.json --input input --threads ${task.cpus} --costs \\
        ${task.ext.args ?: ''} -o predictions-${meta.batch}
    """

    stub:
    """
    mkdir predictions-${meta.batch}; touch predictions-${meta.batch}/${meta.id}-${meta.batch}.nii.gz
    """
}
