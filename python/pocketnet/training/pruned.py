"""Prune the network of a model folder to a narrower one, without training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .. import backend, files, outputs
from ..code import code_hash
from ..contracts.provenance import Attempt, Provenance
from .model_folder import ModelFolder, folder_of, history_csv, write_records
from .start import Start


def write_pruned(folder: Path, width: str, variant: str, output: Path) -> Provenance:
    """Prune the best network of a model folder and write the result as a model folder.

    Args:
        folder: Model folder of the wide network.
        width: The width to prune to, for example `pocket`.
        variant: Name of the result in tables.
        output: The model folder to write.

    Returns:
        The provenance written: 0 steps, with the wide network's steps recorded in `start`.

    Raises:
        UsageError: The network cannot be pruned to this width, or `output` may not be written to.
        DataError: The folder is incomplete or was altered.
    """
    outputs.check_folder(output, [folder_of(folder)])
    source = ModelFolder.open(folder)
    plan, before = source.plan, source.provenance
    backend.configure(seed=plan.seed)
    from ..models.build import build, load
    from ..models.export import export_openvino
    from ..models.prune import prune
    from .fit import history_columns

    narrow = build(plan.network_of(before.arch, width))
    prune(load(source.path / "model.keras"), narrow)
    key = files.digest({"pruned": before.run_key, "width": width, "variant": variant, "code": code_hash("prune")})
    provenance = replace(
        before, width=variant, parameters=narrow.count_params(), steps=0, run_key=key, wall_seconds=0.0,
        attempts=(Attempt(0, 0, 0.0, "finished"),), validation_loss=None, start=Start(source, variant).record())
    with files.atomic_folder(output) as temporary:
        narrow.save(temporary / "last.keras")
        narrow.save(temporary / "model.keras")
        export_openvino(narrow, temporary)
        write_records(temporary, plan, provenance, history_csv([], history_columns(plan.task)))
    return provenance
