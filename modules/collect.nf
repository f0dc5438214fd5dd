/** Bring the run's records into the MLflow store. The only task that writes there. */
process COLLECT {
    tag "${dataset}"
    debug true  // with --quiet it says nothing but that the runs could not be tracked

    input:
    val dataset
    path comparison
    path models, stageAs: 'models/*'
    path evaluations, stageAs: 'evaluations/*'
    path report
    path figures
    path manifest
    val mlflow_uri
    val code

    output:
    val true, emit: done

    script:
    """
    pocket-collect ${[models].flatten().collect { folder -> "--models $folder" }.join(' ')} \\
        ${[evaluations].flatten().collect { folder -> "--evaluations $folder" }.join(' ')} \\
        --comparison ${comparison} --report ${report} --figures ${figures} --manifest ${manifest} \\
        --mlflow-uri ${Shell.word(mlflow_uri)} --quiet ${task.ext.args ?: ''} 2>&1
    """

    stub:
    """
    true
    """
}
