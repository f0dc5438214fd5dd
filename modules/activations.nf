/** Average each feature map of a network's last layer over the patches of its fold's test cases. */
process ACTIVATIONS {
    tag "${meta.id}"
    label 'network'

    input:
    tuple val(meta), path(model)
    path splits, stageAs: 'splits.json'
    path stores, stageAs: 'stores/*'
    val code

    output:
    tuple val(meta), path("${meta.id}.json"), emit: activations

    script:
    """
    pocket-activations --model ${model} --splits splits.json \\
        ${[stores].flatten().collect { folder -> "--stores $folder" }.join(' ')} --threads ${task.cpus} \\
        ${task.ext.args ?: ''} -o ${meta.id}.json
    """

    stub:
    """
    touch ${meta.id}.json
    """
}
