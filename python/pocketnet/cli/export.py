"""`pocket-export`: export a trained network as ONNX, OpenVINO and SavedModel, with its preprocessing parameters."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, log, output_option, quiet_option, result, split_list

EXAMPLES = """
pocket-export --model results/demo/models/unet-pocket/fold0 -o deploy
pocket-export --model MODEL --format onnx,savedmodel -o deploy
pocket-export --model MODEL -o model.onnx
"""


@command("export", examples=EXAMPLES)
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model folder or a file in it.")
@click.option("--format", "formats", default="onnx,openvino,savedmodel", show_default=True,
              help="Formats to write, separated by commas.")
@output_option("The folder to write, which pocket-infer accepts as a model; or one .onnx file.")
@quiet_option
@json_option
def main(model: Path, formats: str, output: Path, quiet: bool, as_json: bool) -> None:
    """Write a deployment folder: the network in other formats and a description of its preprocessing.

    Before anything is written, each exported network is run once and compared with the trained one. Their probabilities
    may differ by at most 0.001; deployment.json records the difference.
    """
    from ..inference import export
    from ..training.model_folder import ModelFolder

    opened = ModelFolder.open(model)
    if output.suffix == ".onnx":
        description = export.export_onnx_file(opened, output)
    else:
        description = export.export(opened, output, split_list(formats))
    for name, found in description.networks.items():
        log(f"{name}: {output if output.suffix == '.onnx' else output / found.file}, probabilities differ by "
            f"{found.largest_difference:.1g} at most", quiet)
    result(description.to_json(), as_json)


if __name__ == "__main__":
    main()
