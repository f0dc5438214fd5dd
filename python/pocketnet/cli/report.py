"""`pocket-report`: write a run's report as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, output_option, quiet_option, result


@command("report", examples="""
pocket-report --comparison comparison --models models --evaluations evaluation -o report.html
pocket-report --comparison comparison --models models/unet-pocket/fold0 --models models/unet-full/fold0 \\
    --evaluations evaluation --profiles profile/unet-pocket.json -o report.html
""")
@click.option("--comparison", type=click.Path(path_type=Path), help="Output folder of pocket-compare.")
@click.option("--models", multiple=True, type=click.Path(path_type=Path),
              help="A model folder or a folder of them; repeatable.")
@click.option("--evaluations", multiple=True, type=click.Path(path_type=Path),
              help="An output folder of pocket-evaluate or a folder of them; repeatable.")
@click.option("--profiles", multiple=True, type=click.Path(path_type=Path),
              help="A profile.json; repeatable.")
@click.option("--command", "command_line", help="Command line of the run, shown on the page.")
@click.option("--figures", type=click.Path(path_type=Path), help="Also write the figures as SVG files to this folder.")
@output_option("The page to write, for example report.html.")
@quiet_option
@json_option
def main(comparison: Path | None, models: tuple[Path, ...], evaluations: tuple[Path, ...], profiles: tuple[Path, ...],
         command_line: str | None, figures: Path | None, output: Path, quiet: bool, as_json: bool) -> None:
    """Write one self-contained page: the verdict, then tables, figures, cases and provenance.

    The page lists missing or damaged records and shows all others. If a record is not as it was written, the command
    leaves it out and ends with exit code 3.
    """
    from .. import outputs
    from ..errors import UsageError
    from ..files import write_text
    from ..report.content import context
    from ..report.page import figure_files, render
    from ..tracking.records import read_run, refuse_altered

    outputs.check_files({output: None}, profiles)
    run = read_run(models, evaluations, comparison, profiles)
    given = [*models, *evaluations, *([comparison] if comparison else [])]
    if not any(folder.exists() for folder in given):  # a folder without a finished training still gets a page
        raise UsageError("There is nothing to report: " + ("; ".join(run.problems) or "no folder was given") + ".",
                         todo="Give --comparison, --models or --evaluations.")
    values = context(run, command_line)
    page = render(values)
    drawn = {figures / name: svg for name, svg in figure_files(values).items()} if figures is not None else {}
    outputs.check_files(dict.fromkeys(drawn))
    for path, svg in drawn.items():
        write_text(path, svg)
    write_text(output, page)
    result({"report": str(output), "bytes": len(page.encode()), "problems": run.problems}, as_json,
           f"{output}: {len(page.encode()) / 1e6:.1f} MB", quiet)
    refuse_altered(run)


if __name__ == "__main__":
    main()
