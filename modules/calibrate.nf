/** Calibrate the networks of all folds by the predictions of their test cases: the same model folders, with a calibration. */
process CALIBRATE {
    tag "${meta.id}"
    label 'cases'

    input:
    tuple val(meta), path(models, stageAs: 'models/*'), path(evaluations, stageAs: 'evaluations/*')
    val code

    output:
    tuple val(meta), path('calibrated/*'), emit: models

    script:
    """
    pocket-calibrate ${[models].flatten().collect { folder -> "--models $folder" }.join(' ')} \\
        ${[evaluations].flatten().collect { folder -> "--evaluations $folder" }.join(' ')} ${task.ext.args ?: ''} -o calibrated
    """

    stub:
    """
    mkdir -p ${[models].flatten().collect { folder -> "calibrated/${folder.toString().tokenize('/').last()}" }.join(' ')}
    """
}
