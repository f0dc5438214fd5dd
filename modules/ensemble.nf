/** Several trained networks of one fold as a single one, their mean: a model folder like any other. */
process ENSEMBLE {
    tag "${meta.id}"
    label 'cases'

    input:
    tuple val(meta), path(members, stageAs: 'member?')
    val code

    output:
    tuple val(meta), path("${meta.id}"), emit: model

    script:
    """
    pocket-ensemble ${members.collect { folder -> "--model $folder" }.join(' ')} ${task.ext.args ?: ''} -o ${meta.id}
    """

    stub:
    """
    mkdir ${meta.id}
    """
}
