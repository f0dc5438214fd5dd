/** Compare a model's predictions with the references, by case and label. Many cases are measured in `meta.parts` parts,
    which another task joins: `measured` has their results then, and is an empty list otherwise. */
process EVALUATE {
    tag "${meta.id}${meta.parts > 1 ? ", part ${meta.part}" : ''}"
    label 'cases'
    cache 'lenient'

    input:
    tuple val(meta), path(model, stageAs: 'model'), path(predictions), path(manifest, stageAs: 'manifest.json'), path(measured, stageAs: 'measured?')
    path input, stageAs: 'input'
    val code

    output:
    tuple val(meta), path("${meta.id}"), emit: evaluation

    script:
    """
    pocket-evaluate --manifest manifest.json --input input ${[predictions].flatten().collect { folder -> "--predictions $folder" }.join(' ')} \\
        ${[measured].flatten().collect { folder -> "--measured $folder" }.join(' ')} ${meta.parts > 1 ? '--part' : ''} --model model \\
        ${task.ext.args ?: ''} -o ${meta.id}
    """

    stub:
    """
    mkdir ${meta.id}; touch ${meta.id}/metrics.csv
    """
}
