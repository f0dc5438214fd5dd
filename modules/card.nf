/** Write the model card of each network. */
process CARD {
    tag "${dataset}"

    input:
    val dataset
    path models, stageAs: 'models/*'
    path evaluations, stageAs: 'evaluations/*'
    path splits, stageAs: 'splits.json'
    path input, stageAs: 'input'
    val code

    output:
    path 'cards', emit: cards

    script:
    """
    pocket-card ${[models].flatten().join(' ')} ${[evaluations].flatten().collect { folder -> "--metrics $folder/metrics.csv" }.join(' ')} \\
        --splits splits.json --input input --quiet -o cards
    """

    stub:
    """
    mkdir cards
    """
}
