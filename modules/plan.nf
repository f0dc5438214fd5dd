/** Decide how to preprocess, train and infer, which networks to train, and which case is in which fold. `edited` is a
    plan to use instead, and `folds` a file of splits to use instead, or an empty list each; `experiment` is a name, or
    empty; `networks` has the options for the networks, which predicted.json then lists; `device` is a device file, and
    `start` a model folder to start from, or an empty list each. `batches` has manifests of parts of the cases, of
    `cases_per_task` cases each, or of a number that suits the dataset (auto). If networks are trained in 3D and in 2D,
    plan.json is that of 3D, and plan-2d.json the other. */
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
    val cases_per_task
    path device, stageAs: 'device/*'
    path start, stageAs: 'start'
    val code

    output:
    path 'plan.json', emit: plan
    path 'plan*.json', emit: plans
    path 'splits.json', emit: splits
    path 'predicted.json', emit: predicted
    path 'batches', emit: batches

    script:
    """
    pocket-plan --manifest ${manifest} --fingerprint ${fingerprint} ${edited ? "--edited ${edited}" : ''} \\
        ${folds ? "--splits ${folds}" : ''} \\
        ${start ? '--start-from start' : ''} \\
        ${experiment ? "--experiment ${experiment}" : ''} ${networks} --batches ${cases_per_task} \\
        ${task.ext.args ?: ''} -o .
    """

    stub:
    def both = (task.ext.args ?: '').contains('--configuration=2d,3d')
    def widths = (networks =~ /--width=(\S+)/)[0][1].tokenize(',').collect { width -> width == 'caps' ? 'capped32' : width }
        .collectMany { width -> both ? ["$width-3d", "$width-2d"] : [width] }
    def predicted = widths.collect { width -> [arch: 'unet', width: width.toString(), mode: 'train',
                                               predicted: [host_memory_mib: 1000, step_seconds: 1]] }
    """
    ${both ? """echo '{"network": {"kernel": [3, 3, 1]}, "training": {"epochs": 1, "steps_per_epoch": 9000}, "seed": 1}' > plan-2d.json""" : ''}
    echo '{"preprocessing": {"crop": "nonzero"}, "network": {"depth": 2, "feature_maps": 16}, "training": {"epochs": 1, "steps_per_epoch": 1}, "seed": 1}' > plan.json
    echo '${groovy.json.JsonOutput.toJson([configurations: predicted])}' > predicted.json
    echo '{"folds": [{"fold": 0}, {"fold": 1}]}' > splits.json
    mkdir batches
    for name in all-0 all-1 fold0 fold1 fold0-0 fold0-1 fold0-0-0 fold0-1-0 fold0-1-1 fold1-0-0; do echo "\\"\$name\\"" > batches/\$name.json; done
    cat > batches/batches.json <<'JSON'
    {"cases": 6, "preprocess": ["all-0.json", "all-1.json"],
     "folds": [{"fold": 0, "manifest": "fold0.json",
                "batches": [{"manifest": "fold0-0.json", "infer": ["fold0-0-0.json"]},
                            {"manifest": "fold0-1.json", "infer": ["fold0-1-0.json", "fold0-1-1.json"]}]},
               {"fold": 1, "manifest": "fold1.json",
                "batches": [{"manifest": "fold1.json", "infer": ["fold1-0-0.json"]}]}]}
    JSON
    """
}
