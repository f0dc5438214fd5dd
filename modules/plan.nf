/** Decide how to preprocess, train and infer, which networks to train, and which case is in which fold. `edited` is a
    plan to use instead, and `folds` a file of splits to use instead, or an empty list each; `experiment` is a name, or
    empty; `networks` has the options for the networks, which predicted.json then lists; `device` is a device file, and
    `start` a model folder to start from, or an empty list each. */
process PLAN {
    tag "${dataset}"

    input:
    val dataset
    path manifest
    path fingerprint
    path edited, stageAs: 'edited/plan.json'
    path folds, stageAs: 'given/*'
    val experiment
    val networks
    path device, stageAs: 'device/*'
    path start, stageAs: 'start'
    val code

    output:
    path 'plan.json', emit: plan
    path 'splits.json', emit: splits
    path 'predicted.json', emit: predicted

    script:
    """
    pocket-plan --manifest ${manifest} --fingerprint ${fingerprint} ${edited ? "--edited ${edited}" : ''} \\
        ${folds ? "--splits ${folds}" : ''} \\
        ${start ? '--start-from start' : ''} \\
        ${experiment ? "--experiment ${experiment}" : ''} ${networks} ${task.ext.args ?: ''} -o .
    """

    stub:
    def widths = (networks =~ /--width=(\S+)/)[0][1].tokenize(',')
    def predicted = widths.collect { width -> [arch: 'unet', width: width == 'caps' ? 'capped32' : width, mode: 'train',
                                               predicted: [host_memory_mib: 1000, step_seconds: 1]] }
    """
    echo '{"preprocessing": {"crop": "nonzero"}, "network": {"depth": 2, "feature_maps": 16}, "training": {"epochs": 1, "steps_per_epoch": 1}, "seed": 1}' > plan.json
    echo '${groovy.json.JsonOutput.toJson([configurations: predicted])}' > predicted.json
    echo '{"folds": [{"fold": 0, "test": ["case_0", "case_1", "case_2"]}, {"fold": 1, "test": ["case_3", "case_4", "case_5"]}]}' > splits.json
    """
}
