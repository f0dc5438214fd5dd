/** Bring the run's records into the MLflow store. The only task that writes there. */
process COLLECT {
    tag "${dataset}"

    input:
    val dataset
    path comparison
    path models, stageAs: 'models/*'
    path evaluations, stageAs: 'evaluations/*'
    path report
    val mlflow_uri
    val code

    output:
    val true, emit: done

    script:
    """
    pocket-collect ${[models].flatten().collect { folder -> "--models $folder" }.join(' ')} \\
        ${[evaluations].flatten().collect { folder -> "--evaluations $folder" }.join(' ')} \\
        --comparison ${comparison} --report ${report} --mlflow-uri '${mlflow_uri}' ${task.ext.args ?: ''}
    """

    stub:
    """
    true
    """
}
