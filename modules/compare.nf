/** Compare the networks over all folds, paired by case. */
process COMPARE {
    tag "${dataset}"

    input:
    val dataset
    path evaluations, stageAs: 'evaluations/*'
    val code

    output:
    path 'comparison', emit: comparison

    script:
    """
    pocket-compare evaluations/*/metrics.csv ${task.ext.args ?: ''} -o comparison
    """

    stub:
    """
    mkdir comparison
    """
}
