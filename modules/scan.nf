/** List the cases of a large dataset in batches of `cases_per_check`, or of a number that suits it (auto). Its inputs are
    those of CHECK. */
process SCAN {
    tag "${dataset}"
    label 'cases'

    input:
    val dataset
    path preset, stageAs: 'preset/*'
    path input, stageAs: 'input'
    val cases_per_check
    val listing
    val code

    output:
    path 'cases', emit: cases

    script:
    """
    pocket-check --dataset ${preset ?: dataset} --input input --batches ${cases_per_check} ${task.ext.args ?: ''} -o cases
    """

    stub:
    """
    mkdir cases; echo 0 > cases/batch-0.json; echo 1 > cases/batch-1.json
    """
}
