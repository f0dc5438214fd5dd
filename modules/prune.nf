/** Cut a trained full network down to the pocket size by the magnitude of its filters, without training. */
process PRUNE {
    tag "${meta.id}"
    label 'network'

    input:
    tuple val(meta), path(model, stageAs: 'wide')
    val code

    output:
    tuple val(meta), path("${meta.id}"), emit: model

    script:
    """
    pocket-prune --model wide --width ${meta.policy} --variant ${meta.width} ${task.ext.args ?: ''} -o ${meta.id}
    """

    stub:
    """
    mkdir ${meta.id}
    """
}
