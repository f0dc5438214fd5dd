"""`pocket-check`: verify a dataset's folder; write its manifest and fingerprint, or a list of all problems."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    batch_size,
    command,
    input_option,
    json_option,
    log,
    output_option,
    progress,
    quiet_option,
    result,
    split_list,
)

if TYPE_CHECKING:
    from ..datasets.folder import Problem

EXAMPLES = """
pocket-check --dataset hippocampus --input Task04_Hippocampus -o out
pocket-check --dataset brats --input BraTS --modalities t1ce,flair --labels multiclass -o out
pocket-check --dataset bids --input bids --suffix T1w --labels-from derivatives/manual --labels "lesion=1" -o out
pocket-check --dataset my_dataset.json --input scans --labels "lesion=1+2" --folds 5 -o out
pocket-check --dataset hippocampus --input Task04_Hippocampus --batches 100 -o cases
pocket-check --dataset hippocampus --input Task04_Hippocampus --checked read -o out
"""


@command("check", examples=EXAMPLES)
@click.option("--dataset", required=True, metavar="NAME|FILE",
              help="A built-in preset (docs/datasets.md) or the path of your own preset file.")
@input_option
@output_option("Folder for manifest.json and fingerprint.json, or problems.csv.")
@click.option("--modalities", metavar="A,B", help="Modalities to use, in this order. Default: all.")
@click.option("--labels", "label_set", metavar="NAME|CLASS=V+V,…",
              help="A label set of the dataset (brats: whole_tumor, multiclass …), or classes built from label values.")
@click.option("--folds", type=click.IntRange(min=2), help="Refuse a dataset with too few cases for this many folds.")
@click.option("--unlabelled", type=click.Choice(["refuse", "skip", "keep"]), default="refuse", show_default=True,
              help="Cases without a label file: report them as problems, leave them out, or keep them in the "
                   "manifest for pocket-infer.")
@click.option("--group", metavar="COLUMN|PATTERN",
              help="Groups that every split keeps together: a column of the dataset's table or of groups.csv, or a "
                   r"pattern of case names such as '(patient\d+)_'. Default: the column patient, subject or site. "
                   "none: no groups.")
@click.option("--suffix", metavar="SUFFIX,…",
              help="For a BIDS dataset: suffix of the images, such as T1w. Several suffixes are modalities.")
@click.option("--labels-from", metavar="FOLDER[:KIND]",
              help="For a BIDS dataset: folder of the label maps, such as derivatives/NAME. If it has several kinds, "
                   "add the end of their names: derivatives/NAME:desc-manual_dseg.")
@click.option("--stratify", metavar="COLUMN",
              help="Keep the proportions of this column's values equal in all parts of a split.")
@click.option("--batches", metavar="N|auto",
              help="Read no images; write the cases to OUT in batches of N, batch-0.json and so on, each for "
                   "pocket-read. auto: a number that suits the dataset.")
@click.option("--checked", multiple=True, type=click.Path(path_type=Path),
              help="File of pocket-read, or a folder of them; repeatable. Only cases that it has not read, or that "
                   "have changed since, are read again.")
@quiet_option
@json_option
def main(dataset: str, input_: Path, output: Path, modalities: str | None, label_set: str | None, folds: int | None,
         unlabelled: str, group: str | None, stratify: str | None, suffix: str | None, labels_from: str | None,
         batches: str | None, checked: tuple[Path, ...], quiet: bool, as_json: bool) -> None:
    """Verify a dataset and compute its fingerprint.

    Each file is read once. If there are problems, all of them are listed, only OUT/problems.csv is written, and the
    exit code is 3.
    """
    from dataclasses import replace
    from types import MappingProxyType

    from .. import outputs
    from ..datasets import check, presets
    from ..errors import DataError, UsageError
    from ..text import counted

    size = batch_size(batches)
    if batches:
        outputs.check_folder(output, [input_])
    else:
        outputs.check_files({output / name: kind for name, kind in check.KINDS.items()})
    preset = presets.load(dataset)
    bids = {key: value for key, value in (("suffix", suffix), ("labels_from", labels_from)) if value}
    if bids and preset.layout != "bids":
        raise UsageError("--suffix and --labels-from are for a BIDS dataset.", where=f"--dataset {dataset}",
                         todo="Use --dataset bids, or leave them out.")
    preset = replace(preset, group=group or preset.group, stratify=stratify or preset.stratify,
                     bids=MappingProxyType({**preset.bids, **bids}))
    there = check.list_cases(input_, preset, modalities=split_list(modalities), label_set=label_set,
                             unlabelled=unlabelled)
    if batches:
        number = check.write_batches(there, size, output)
        return result({"batches": str(output), "count": number}, as_json, counted(number, "batch", "batches"), quiet)
    found = check.check_listed(there, checked_files=checked, folds=folds, progress=lambda items, total: progress(
        items, "Checking cases", total, quiet))
    check.write_result(found, output)
    for line in found.warnings:
        log(f"Warning: {line}", quiet)
    if found.problems:
        table = output / check.PROBLEMS
        result({"problems": [vars(problem) for problem in found.problems], "warnings": found.warnings,
                "left_out": found.left_out, "table": str(table)}, as_json)
        _show(found.problems)
        _say_left_out(found.left_out, quiet)
        cases = len({problem.case for problem in found.problems} - {""})
        count = counted(len(found.problems), "problem")
        raise DataError(f"{count}, in {cases} of {found.cases} cases.", where=str(table),
                        todo=found.todo or "Fix these and run the same command again.")
    numbers = check.summary(found)
    written = {"manifest": str(output / check.MANIFEST), "fingerprint": str(output / check.FINGERPRINT)}
    result(numbers | written, as_json, _text(numbers) + f"\n  written   {', '.join(written.values())}", quiet)
    _say_left_out(found.left_out, quiet)


def _say_left_out(lines: Iterable[str], quiet: bool) -> None:
    for line in lines:
        log(line[0].upper() + line[1:], quiet)


def _show(problems: Iterable[Problem]) -> None:
    """Print all problems to standard error: as a table on a terminal, as plain columns in a log."""
    import sys

    columns = ("case", "file", "problem")
    rows = [tuple(getattr(problem, column) or "-" for column in columns) for problem in problems]
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        from ..text import printable

        table = Table(*columns)
        for row in rows:
            table.add_row(*(Text(printable(word)) for word in row))
        Console(stderr=True).print(table)
        return
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        log("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def _text(numbers: dict[str, Any]) -> str:
    """Format the summary as text."""
    from ..contracts.tasks import TASKS as RULES
    from ..datasets.tasks import TASKS
    from ..text import counted

    lines = [f"{numbers['dataset']}: {counted(numbers['cases'], 'case')} without problems",
             f"  images    {', '.join(numbers['modalities'])}; "
             f"orientation {', '.join(numbers['orientations'])}"]
    if "groups" in numbers:
        lines.append(f"  groups    {numbers['groups']}, by {numbers['groups_by']}")
    ranges = (("shape", "shape", "voxels"), ("cropped_shape", "cropped", "voxels"), ("spacing_mm", "spacing", "mm"))
    for key, name, unit in ranges[:1] if RULES[numbers["task"]].resized else ranges:
        low, middle, high = (numbers[key][k] for k in ("minimum", "median", "maximum"))
        spans = [f"{a:g}" if a == b else f"{a:g}–{b:g}" for a, b in zip(low, high, strict=True)]
        median = "" if low == high else f", median {' × '.join(f'{m:g}' for m in middle)}"
        lines.append(f"  {name:<9} {' × '.join(spans)} {unit}{median}")
    task = TASKS[numbers["task"]]
    lines += [f"  {task.text_of_label(label)}" for label in numbers["labels"]]
    if "ignore" in numbers:
        lines.append(f"  not annotated where the files have {numbers['ignore']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
