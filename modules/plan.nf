/** Decide how to preprocess, train and infer, and which case is in which fold. `edited` is a plan to use
    instead, or an empty list; `experiment` a name, or empty. */
process PLAN {
    tag "${dataset}"

    input:
    val dataset
    path manifest
    path fingerprint
    path edited, stageAs: 'edited/*'
    val experiment
    val code

    output:
    path 'plan.json', emit: plan
    path 'splits.json', emit: splits

    script:
    """
    pocket-plan --manifest ${manifest} --fingerprint ${fingerprint} ${edited ? "--edited ${edited}" : ''} \\
        ${experiment ? "--experiment ${experiment}" : ''} ${task.ext.args ?: ''} -o .
    """

    stub:
    """
    echo '{"preprocessing": {"crop": "nonzero"}, "network": {"depth": 2, "feature_maps": 16}}' > plan.json
    echo '{"folds": [{"fold": 0, "test": ["case_0", "case_1", "case_2"]}, {"fold": 1, "test": ["case_3", "case_4", "case_5"]}]}' > splits.json
    """
}
