/** Draw an experiment's table and figure. Of the files, those are given that the experiment reads. */
process EXPERIMENT {
    tag "${name}"
    label 'cases'
    cache 'lenient'

    input:
    val name
    path manifest
    path plan
    path splits
    path comparison
    path models, stageAs: 'models/*'
    path evaluations, stageAs: 'evaluations/*'
    path measured, stageAs: 'measured/*'
    path predictions, stageAs: 'predictions/*'
    path input, stageAs: 'input'
    val code

    output:
    path 'experiment/*', emit: files

    script:
    """
    pocket-experiment ${name} --manifest ${manifest} --plan ${plan} --splits ${splits} \\
        ${comparison ? "--comparison $comparison" : ''} ${[models].flatten().collect { folder -> "--models $folder" }.join(' ')} \\
        ${[evaluations].flatten().collect { folder -> "--evaluations $folder" }.join(' ')} \\
        ${[measured].flatten().collect { file -> "--measured $file" }.join(' ')} \\
        ${predictions ? '--predictions predictions --input input' : ''} ${task.ext.args ?: ''} -o experiment
    """

    stub:
    """
    mkdir experiment; touch experiment/table.md
    """
}
