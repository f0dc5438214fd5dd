/** Read a batch of cases. Its list has the sizes and times of their files, so the input's times need not count. */
process READ {
    tag "batch ${batch}"
    label 'cases'
    cache 'lenient'

    input:
    tuple val(batch), path(cases, stageAs: 'cases.json')
    path input, stageAs: 'input'
    val code

    output:
    path "${batch}.json", emit: checked

    script:
    """
    pocket-read --cases cases.json --input input --quiet ${task.ext.args ?: ''} -o ${batch}.json
    """

    stub:
    """
    touch ${batch}.json
    """
}
