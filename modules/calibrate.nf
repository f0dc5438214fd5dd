/** Calibrate the networks of all folds: their statements by the predictions of their test cases, their probabilities by
    validation cases, which they predict here. The same model folders, with a calibration. */
process CALIBRATE {
    tag "${meta.id}"
    label 'cases'

    input:
    tuple val(meta), path(models, stageAs: 'models/*'), path(evaluations, stageAs: 'evaluations/*')
    path splits, stageAs: 'splits.json'
    path stores, stageAs: 'stores/*'
    val code

    output:
    tuple val(meta), path('calibrated/*'), emit: models

    script:
    """
    pocket-calibrate ${[models].flatten().collect { folder -> "--models $folder" }.join(' ')} \\
        ${[evaluations].flatten().collect { folder -> "--evaluations $folder" }.join(' ')} \\
        --splits splits.json ${[stores].flatten().collect { folder -> "--stores $folder" }.join(' ')} --threads ${task.cpus} \\
        ${task.ext.args ?: ''} -o calibrated
    """

    stub:
    """
    mkdir -p ${[models].flatten().collect { folder -> "calibrated/${folder.toString().tokenize('/').last()}" }.join(' ')}
    """
}
