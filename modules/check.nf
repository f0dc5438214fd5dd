/** Read every case of the dataset's folder once, name every problem or describe it for the steps that follow.
    `listing` stands for the names, sizes and times of all files, so that a changed file is read again.
    `preset` is a preset file of one's own, or an empty list. `checked` has what READ has found, or is an empty list. */
process CHECK {
    tag "${dataset}"
    label 'cases'

    input:
    val dataset
    path preset, stageAs: 'preset/*'
    path input, stageAs: 'input'
    path checked, stageAs: 'checked/*'
    val listing
    val code

    output:
    path 'manifest.json', emit: manifest
    path 'fingerprint.json', emit: fingerprint

    script:
    """
    pocket-check --dataset ${preset ?: dataset} --input input ${checked ? '--checked checked' : ''} ${task.ext.args ?: ''} -o .
    """

    stub:
    """
    python3 - <<'PYTHON'
    import json
    label = [{"name": "one", "value": 1, "source_values": [1]}]
    cases = [{"case": f"case_{i}", "images": [f"{i}.nii.gz"], "label": f"{i}_label.nii.gz", "sha256": {}} for i in range(6)]
    json.dump({"dataset": "${dataset}", "modalities": ["MRI"], "labels": label, "cases": cases}, open("manifest.json", "w"))
    PYTHON
    echo '{}' > fingerprint.json
    """
}
