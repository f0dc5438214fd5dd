/** Compare a model's predictions with the references, by case and label. */
process EVALUATE {
    tag "${meta.id}"
    label 'cases'
    cache 'lenient'

    input:
    tuple val(meta), path(model, stageAs: 'model'), path(predictions, stageAs: 'predictions/*'), val(manifest)
    path input, stageAs: 'input'
    val code

    output:
    tuple val(meta), path("${meta.id}"), emit: evaluation

    script:
    """
    cat > manifest.json <<'JSON'
    ${manifest}
    JSON
    pocket-evaluate --manifest manifest.json --input input --predictions predictions --model model \\
        ${task.ext.args ?: ''} -o ${meta.id}
    """

    stub:
    """
    mkdir ${meta.id}; touch ${meta.id}/metrics.csv
    """
}
