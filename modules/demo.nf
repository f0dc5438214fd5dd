/** Make the demo dataset: deformed brains from the MNI152 template, in the decathlon layout. */
process DEMO {
    tag "demo"
    label 'cases'

    input:
    val code

    output:
    path 'data', emit: data

    script:
    """
    pocket-demo ${task.ext.args ?: ''} -o data
    """

    stub:
    """
    mkdir data
    """
}
