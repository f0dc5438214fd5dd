/** Predict and measure the memory and speed of one network; `meta.options` say of what else than a training step. */
process PROFILE {
    tag "${meta.id}"
    label 'network'

    input:
    tuple val(meta), val(plan)
    val code

    output:
    tuple val(meta), path("${meta.id}.json"), emit: profile

    script:
    """
    cat > plan.json <<'JSON'
    ${plan}
    JSON
    pocket-profile --plan plan.json --arch ${meta.arch} --width ${meta.width} --threads ${task.cpus} \\
        ${meta.options ?: ''} ${task.ext.args ?: ''} -o ${meta.id}.json
    """

    stub:
    """
    echo '{"configurations": [{"predicted": {"host_memory_mib": 1000}, "measured": {"host_memory_mib": 1500, "step_seconds": 1}}]}' > ${meta.id}.json
    """
}
