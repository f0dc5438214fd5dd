"""Export trained networks as one HTML file that segments in a browser, offline.

The file's scripts (`viewer/`) follow the rules of the modules here: windows, merging, resampling, postprocessing. What
they need to know of the model is `description`; the numbers that both use have one place, in Python.
"""

from __future__ import annotations

import html
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__, files
from ..contracts.calibration import needed
from ..contracts.decisions import mirrored_of, operations_of, windows_of
from ..contracts.labels import overlapping
from ..contracts.tasks import check_task
from ..errors import UsageError
from ..evaluation.statement import apply
from ..preprocessing import ranges
from ..preprocessing.image import PART_BYTES
from ..training.model_folder import ModelFolder
from ..viewer import packages
from ..viewer.page import page
from . import engines, ensemble, features, memory, statements
from .colours import colour
from .export import export_onnx_file
from .options import SPARSE_OVERLAP, Options
from .predictor import Predictor

BROWSER_NETWORK_MIB = 1536
"""Maximum activations of a window in a browser, whose WebAssembly has at most 4 GiB for everything."""
BROWSER_MIB = 4096
"""Maximum memory of a case's volumes in a browser with 8 GiB or more; a part of it with less."""


def export_html(models: Sequence[ModelFolder], output: Path) -> dict[str, Any]:
    """Write the page, with one network for each model folder.

    Args:
        models: The model folders; several are averaged like an ensemble of `pocket-infer`.
        output: The `.html` file.

    Returns:
        The models' checksums, the number of networks and the bytes of the file.

    Raises:
        UsageError: A model does not segment volumes, the models cannot be one ensemble, or the libraries of the page
            are not downloaded.
        DataError: A network cannot be loaded, or its ONNX form differs from it.
    """
    for model in models:
        check_task(model.plan.task, Predictor.task, model.path)
        if model.plan.network.dimensions != 3:
            raise UsageError("The page segments volumes; this network takes single slices.", where=str(model.path),
                             todo="Use pocket-infer.")
    ensemble.check_alike(models)
    packages.check()  # before the slow part
    networks = []
    with tempfile.TemporaryDirectory(prefix="pocket-") as folder:
        for number, model in enumerate(models):
            path = Path(folder) / f"{number}.onnx"
            export_onnx_file(model, path)
            networks.append(path.read_bytes())
    files.write_text(output, page(description(models), networks, words(models)))
    return {"models": [model.digest for model in models], "networks": len(networks), "bytes": output.stat().st_size}


def description(models: Sequence[ModelFolder]) -> dict[str, Any]:
    """Return what the page's scripts need to know of the models."""
    plan, decisions = models[0].plan, [model.provenance.decisions for model in models]
    mirrors = ensemble.mirrors_of(plan) if mirrored_of(plan, decisions) else [()]
    network = plan.network.network(models[0].provenance.arch, "pocket")
    seen = [model.provenance.ranges for model in models]
    return {
        "dataset": plan.dataset, "modalities": plan.modalities, "classes": plan.network.classes,
        "labels": [{"name": label.name, "value": label.value, "parts": label.parts, "colour": colour(label.value)}
                   for label in plan.labels],
        "regions": overlapping(plan.labels), "predictions": len(models) * len(mirrors), "mirrors": mirrors,
        "preprocessing": {"crop": plan.preprocessing.crop, "spacing_mm": plan.preprocessing.spacing_mm,
                          "normalisation": plan.preprocessing.normalisation},
        "windows": {"choice": windows_of(decisions) or ("large" if _takes_any_size(models) else "plan"),
                    "patch": plan.training.patch, "divisor": network.divisor, "overlap": plan.inference.overlap,
                    "sigma": plan.inference.gaussian_sigma, "limits": _limits(models[0])},
        "operations": {label: one.to_json() for label, one in operations_of(plan, decisions).items()},
        "ranges": ranges.joined([one for one in seen if one]).to_json() if all(seen) else None,
        "statement": _statement(models),
        "networks": [{"intensity": [one.to_json() for one in model.provenance.intensity]} for model in models],
        "note": f"PocketNet Suite {__version__} in a browser, model {models[0].digest[:16]}",
    }


def _takes_any_size(models: Sequence[ModelFolder]) -> bool:
    """Return whether pocket-infer takes large windows for models without a decision."""
    return Predictor(models, Options(engine="openvino")).takes_any_size


def _statement(models: Sequence[ModelFolder]) -> dict[str, Any]:
    """Return the calibration with the numbers of the statement's arithmetic, or why there is none."""
    predictor = Predictor(models, Options(engine="openvino"))
    known = statements.calibration_of(predictor)
    if known is None:
        return {"none": statements.why_none(predictor)}
    return {"calibration": known.to_json(), "limits": {
        "needed": needed(known.coverage), "floor": features.FLOOR, "most_voxels": features.MOST_VOXELS,
        "far": apply.FAR, "least_trust": apply.LEAST_TRUST, "most_told": apply.MOST_TOLD}}


def _limits(model: ModelFolder) -> dict[str, Any]:
    """Return the numbers with which pocket-infer chooses large windows (`memory`), and those of a browser."""
    patch = model.plan.training.patch
    engine = engines.OpenVinoEngine(model.path, patch, model.plan.network.channels, None)
    return {"activation_mib": engine.activation_mib / math.prod(patch), "default_mib": memory.DEFAULT_MIB,
            "start_mib": memory.START_MIB, "part_bytes": PART_BYTES, "component_bytes": memory.COMPONENT_BYTES,
            "release_voxels": memory.RELEASE_VOXELS, "window_voxels": memory.WINDOW_VOXELS,
            "sparse_overlap": SPARSE_OVERLAP, "browser_network_mib": BROWSER_NETWORK_MIB, "browser_mib": BROWSER_MIB}


def words(models: Sequence[ModelFolder]) -> dict[str, str]:
    """Return the texts of the page."""
    plan, provenance = models[0].plan, models[0].provenance
    names, several = ", ".join(plan.modalities), len(plan.modalities) > 1
    about = {"Dataset": plan.dataset, "Labels": ", ".join(label.name for label in plan.labels), "Modalities": names,
             "Network": f"{provenance.width} {provenance.arch}, {provenance.parameters:,} parameters",
             "Trained with": f"recipe {provenance.recipe}, fold {provenance.fold}",
             "Models": ", ".join(model.digest for model in models), "Written by": f"PocketNet Suite {__version__}"}
    return {
        "title": f"Segment {plan.dataset}",
        "subtitle": f"A network that labels {', '.join(label.name for label in plan.labels)}.",
        "invitation": "Drop NIfTI files or a DICOM folder here, or choose them" if several
        else "Drop a NIfTI file or a DICOM folder here, or choose one",
        "expected": f"{names}: one file (.nii or .nii.gz) or DICOM series" + (
            f" per modality, or one file with {len(plan.modalities)} volumes in this order." if several else "."),
        "about": "".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in about.items())}
