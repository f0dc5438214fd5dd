/** Pictures of the dataset and of training patches, for people; nothing else depends on them. */
process PICTURE {
    tag "${dataset}"
    label 'cases'

    input:
    val dataset
    path manifest
    path fingerprint
    path plan
    path splits
    path stores, stageAs: 'stores/*'
    path input, stageAs: 'input'
    val code

    output:
    path '*.png', emit: pictures

    script:
    """
    pocket-picture --manifest ${manifest} --fingerprint ${fingerprint} --input input --quiet -o overview.png
    pocket-picture --plan ${plan} --splits ${splits} --stores ${[stores].flatten().join(' --stores ')} \\
        --quiet -o patches.png
    """

    stub:
    """
    touch overview.png patches.png
    """
}
