"""`pocket-read`: read the cases of a batch, for one check of all batches."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, input_option, json_option, log, output_option, progress, quiet_option, result


@command("read", examples="""
pocket-read --cases cases/batch-0.json --input Task04_Hippocampus -o read/0.json
""")
@click.option("--cases", "batch", required=True, type=click.Path(path_type=Path),
              help="A batch of cases, which pocket-check --batches has written.")
@input_option
@output_option("The file to write, for pocket-check --checked.")
@quiet_option
@json_option
def main(batch: Path, input_: Path, output: Path, quiet: bool, as_json: bool) -> None:
    """Read the cases of a batch: checksums, problems and fingerprints.

    Problems of the cases are no error here: pocket-check --checked lists those of all batches.
    """
    from .. import outputs
    from ..contracts.reading import CaseList
    from ..datasets.reading import read_batch
    from ..text import counted

    outputs.check_files({output: "checked"}, [batch])
    found = read_batch(CaseList.read(batch), input_,
                       lambda items, total: progress(items, "Reading cases", total, quiet))
    found.write(output)
    problems = sum(len(case.problems) for case in found.cases)
    log(f"{counted(len(found.cases), 'case')} read, {counted(problems, 'problem')}.", quiet)
    result({"cases": len(found.cases), "problems": problems, "file": str(output)}, as_json)


if __name__ == "__main__":
    main()
