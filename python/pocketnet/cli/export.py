"""`pocket-export`: export a trained network as ONNX, OpenVINO and SavedModel, or as a page that segments."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError
from .common import command, json_option, log, output_option, quiet_option, result, split_list

EXAMPLES = """
pocket-export --model results/demo/models/unet-pocket/fold0 -o deploy
pocket-export --model MODEL --format onnx,savedmodel -o deploy
pocket-export --model MODEL -o model.onnx
pocket-export --model MODEL --html model.html
pocket-export --model FOLD0 --model FOLD1 --html ensemble.html
"""


@command("export", examples=EXAMPLES)
@click.option("--model", "models", required=True, multiple=True, type=click.Path(path_type=Path),
              help="The model folder or a file in it; with --html, several are averaged.")
@click.option("--format", "formats", default="onnx,openvino,savedmodel", show_default=True,
              help="Formats to write, separated by commas.")
@click.option("--html", type=click.Path(path_type=Path),
              help="Write one HTML file instead, which segments in a browser, offline.")
@output_option("The folder to write, which pocket-infer accepts as a model; or one .onnx or .html file.",
               required=False)
@quiet_option
@json_option
def main(models: tuple[Path, ...], formats: str, html: Path | None, output: Path | None, quiet: bool, as_json: bool
         ) -> None:
    """Write a deployment folder: the network in other formats and a description of its preprocessing.

    Before anything is written, each exported network is run once and compared with the trained one. Their probabilities
    may differ by at most 0.001; deployment.json records the difference.

    With --html, write a page that opens from disk: drop a NIfTI file, see the segmentation, download it. The page makes
    no request. Its libraries must be there once: make viewer.
    """
    from ..inference import export
    from ..training.model_folder import ModelFolder

    target = html or output
    if target is None or (html and output):
        raise UsageError("Expected one output: -o, or --html.")
    opened = [ModelFolder.open(model) for model in models]
    if html or target.suffix == ".html":
        from ..inference.html import export_html

        written = export_html(opened, target)
        log(f"{target}: {written['bytes'] / 2**20:.1f} MiB, opens in a browser", quiet)
        result(written, as_json)
        return
    if len(opened) > 1:
        raise UsageError("Only --html takes several models.", where=str(models[1]),
                         todo="Join them first: pocket-ensemble.")
    if target.suffix == ".onnx":
        description = export.export_onnx_file(opened[0], target)
    else:
        description = export.export(opened[0], target, split_list(formats))
    for name, found in description.networks.items():
        log(f"{name}: {target if target.suffix == '.onnx' else target / found.file}, probabilities differ by "
            f"{found.largest_difference:.1g} at most", quiet)
    result(description.to_json(), as_json)


if __name__ == "__main__":
    main()
