/** Write one page to read, and its figures as files. */
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
    path 'figures', emit: figures

    script:
    """
    pocket-report --comparison ${comparison} ${[models].flatten().collect { folder -> "--models $folder" }.join(' ')} \\
        ${[evaluations].flatten().collect { folder -> "--evaluations $folder" }.join(' ')} \\
        ${[profiles].flatten().collect { file -> "--profiles $file" }.join(' ')} ${task.ext.args ?: ''} --figures figures -o report.html
    """

    stub:
    """
    touch report.html; mkdir figures
    """
}
