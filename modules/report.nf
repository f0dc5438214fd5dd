/** Write one page to read. */
process REPORT {
    tag "${dataset}"

    input:
    val dataset
    path comparison
    path models, stageAs: 'models/*'
    path evaluations, stageAs: 'evaluations/*'
    path profiles, stageAs: 'profiles/*'
    val code

    output:
    path 'report.html', emit: report

    script:
    """
    pocket-report --comparison ${comparison} ${[models].flatten().collect { folder -> "--models $folder" }.join(' ')} \\
        ${[evaluations].flatten().collect { folder -> "--evaluations $folder" }.join(' ')} \\
        ${[profiles].flatten().collect { file -> "--profiles $file" }.join(' ')} ${task.ext.args ?: ''} -o report.html
    """

    stub:
    """
    touch report.html
    """
}
