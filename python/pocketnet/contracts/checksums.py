"""`checksums.json` of a model folder."""

from __future__ import annotations

from typing import ClassVar

from .base import Contract, record
from .fields import SHA256, Path


@record
class Checksums(Contract):
    """Checksums of every other file of the folder.

    Attributes:
        files: SHA-256 by path within the folder.
    """

    kind: ClassVar[str] = "checksums"
    files: dict[Path, SHA256]
