/** Compare the networks over all folds, paired by case. `models` has the model folders, and `manifest` the cases, if
    networks were trained in 2D and in 3D: which one is compared is chosen by their validation cases. Both are empty lists
    otherwise. */
process COMPARE {
    tag "${dataset}"

    input:
    val dataset
    path evaluations, stageAs: 'evaluations/*'
    tuple path(models, stageAs: 'models/*'), path(manifest, stageAs: 'manifest.json')
    val code

    output:
    path 'comparison', emit: comparison

    script:
    """
    pocket-compare evaluations/*/metrics.csv ${models ? '--models models --manifest manifest.json' : ''} ${task.ext.args ?: ''} -o comparison
    """

    stub:
    """
    mkdir comparison
    """
}
