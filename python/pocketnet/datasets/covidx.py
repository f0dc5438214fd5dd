"""The layout of COVIDx: `train.txt` and `test.txt` (patient, file, class, source), images in `train/` and `test/`.

The names of the lists may contain the version, as in `train_COVIDx9B.txt`. A line has the patient, the file name, the
class and, except in the first versions, the source, separated by spaces.

Source: https://github.com/lindawangg/COVID-Net/blob/master/docs/COVIDx.md; Wang et al., Scientific Reports 10, 19549
(2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .folder import Listing, Problem, unreadable
from .pictures import Entry, is_picture, listing
from .presets import Preset

PARTS = ("train", "test")


def matches(folder: Path) -> bool:
    """Return whether a folder has this layout: a list and a folder each for training and test."""
    return all((folder / part).is_dir() and _lists(folder, part) for part in PARTS)


def scan(folder: Path, preset: Preset, wanted: Sequence[str]) -> Listing:
    """List the images of a folder.

    Args:
        folder: The dataset's folder.
        preset: Gives the modality and the classes.
        wanted: Modalities to use; empty: all.

    Raises:
        UsageError: A wanted modality does not exist.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    for part in PARTS:
        lists = _lists(folder, part)
        if len(lists) > 1:
            names = ", ".join(path.name for path in lists)
            problems.append(Problem("", lists[0].name, f"several lists for {part}: {names}; leave one there"))
            continue
        try:
            lines = lists[0].read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            fault = unreadable(error) if isinstance(error, OSError) else "not a text file in UTF-8"
            problems.append(Problem("", lists[0].name, fault))
            continue
        for number, line in enumerate(lines, 1):
            if line.strip():
                entry = _entry(line.split(), part, f"{lists[0].name} line {number}", preset)
                if entry:
                    entries.append(entry)
                else:
                    problems.append(Problem("", lists[0].name, f"line {number} is not patient, file, class, source: "
                                                               f"{line.strip()[:120]!r}"))
    return listing(folder, preset, wanted, entries, problems, has_test=True)


def _lists(folder: Path, part: str) -> list[Path]:
    """Return `<part>.txt` if it exists, otherwise all files `<part>_<version>.txt`."""
    plain = folder / f"{part}.txt"
    return [plain] if plain.is_file() else sorted(folder.glob(f"{part}_*.txt"))


def _entry(words: list[str], part: str, line: str, preset: Preset) -> Entry | None:
    """Parse the words of a line; the file name ends with an image suffix and may contain spaces.

    Returns:
        The entry; None if the line has another form.
    """
    end = max((i for i, word in enumerate(words) if is_picture(word)), default=0)
    if end < 1 or not 1 <= len(words) - end - 1 <= 2:
        return None
    return Entry(line, part, " ".join(words[1:end + 1]), words[end + 1], part == "test",
                 {"patient": words[0]})
