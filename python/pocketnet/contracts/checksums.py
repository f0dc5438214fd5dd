"""`checksums.json` of a model folder."""

from __future__ import annotations

from typing import ClassVar

from .base import Contract, record
from .fields import SHA256, Path


@record
class Checksums(Contract):
    """Checksums of all other files of the folder.

    Attributes:
        files: SHA-256 per path within the folder.
    """

    kind: ClassVar[str] = "checksums"
    files: dict[Path, SHA256]
