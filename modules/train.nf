/** Train one network on one fold, from chance or from a trained network (`start`, a model folder or an empty list;
    `meta.width` then is a name and `meta.policy` the width). `plan` is plan.json on one line. `requests` has GiB of `memory` and `hours`, 0 for unknown. Checkpoints lie outside the work directory (nextflow.config says where), so
    that a killed or stopped training goes on where it was, also in a new task. It stops by its own clock before the task's time is up.
    With several nodes, srun starts pocket-train on each. One that loses another ends with 104, or by SIGALRM (142); the
    task then ends with the code of the one that was lost. */
process TRAIN {
    tag "${meta.id}"
    label 'network'

    input:
    tuple val(meta), val(requests), path(start, stageAs: 'start'), val(plan)
    path splits, stageAs: 'splits.json'
    path stores, stageAs: 'stores/*'
    val code

    output:
    tuple val(meta), path("${meta.id}"), emit: model

    script:
    def gpus = task.accelerator?.request ?: 0
    def seconds = task.time?.toSeconds()
    def nodes = task.ext.nodes ?: 1
    """
    cat > plan.json <<'JSON'
    ${plan}
    JSON
    decoded() { local text=\${1//+/ }; printf '%b' "\${text//%/\\\\x}"; }  # as nextflow.config has encoded them
    export POCKET_LIVE_MLFLOW_URI="\$(decoded "\$POCKET_LIVE_MLFLOW_URI")"
    set -- pocket-train --plan plan.json --splits splits.json ${[stores].flatten().collect { folder -> "--stores $folder" }.join(' ')} \\
        --arch ${meta.arch} --width ${meta.policy ?: meta.width} --fold ${meta.fold} --threads ${task.cpus} ${gpus > 1 || gpus && nodes > 1 ? "--gpus $gpus" : ''} ${nodes > 1 ? "--nodes $nodes" : ''} \\
        ${start ? "--start-from start --variant ${meta.width}" : ''} \\
        --checkpoints "\$(decoded "\$POCKET_CHECKPOINTS")" ${seconds ? "--time-limit ${Math.max(seconds - 90, seconds.intdiv(2))}" : ''} \\
        ${task.ext.args ?: ''} -o ${meta.id}
    if (( ${nodes} == 1 )); then
        "\$@"
    else
        srun --nodes=${nodes} --ntasks-per-node=1 --cpus-per-task=${task.cpus} --kill-on-bad-exit=0 \\
            bash -c '"\$@" || { code=\$?; echo \$code > ".ended-\$SLURM_PROCID"; exit \$code; }' train "\$@" || {
            code=\$?
            cause=\$(cat .ended-* | grep -vxE '104|142' | sort -n | tail -n 1) || (( code != 142 )) || code=104
            exit \${cause:-\$code}
        }
    fi
    """

    stub:
    """
    mkdir ${meta.id}
    """
}
