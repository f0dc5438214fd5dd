"""Export a trained network for other engines, with a description of its preprocessing, and verify the result.

The exported folder is also a model folder: `pocket-infer --model` accepts it.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__, backend, files, outputs
from ..contracts.decisions import operations_of
from ..contracts.deployment import (
    Deployment,
    ExportedNetwork,
    NetworkInput,
    NetworkOutput,
    OutputClass,
    Preparation,
    Windows,
)
from ..contracts.labels import overlapping
from ..contracts.tasks import TASKS
from ..errors import DataError, UsageError
from ..training.model_folder import CALIBRATION, ModelFolder, write_checksums
from . import engines, temperatures
from .merge import last_region, most_likely

if TYPE_CHECKING:
    import keras

RECORDS = ("model.keras", "plan.json", "labels.json", "provenance.json")
DESCRIPTION = "deployment.json"
NETWORKS = {"onnx": "model.onnx", "openvino": "model.xml", "savedmodel": "saved_model"}
"""File name of each export format."""
INPUT = "image"
"""Name of the networks' input."""
MOST_DIFFERENCE = 1e-3
"""Maximum difference of a probability from the reference engine."""
LEAST_EQUAL = 0.9999
"""Minimum share of voxels with the same label as the reference engine."""

Run = Callable[[np.ndarray], np.ndarray]


def export(model: ModelFolder, output: Path, formats: Sequence[str] = tuple(NETWORKS)) -> Deployment:
    """Write a deployment folder atomically.

    Args:
        model: The model folder to export.
        output: The folder to write: new, empty, or an earlier export.
        formats: Keys of `NETWORKS`.

    Returns:
        The content of `deployment.json`.

    Raises:
        UsageError: A format is unknown, the backend is not TensorFlow, or the folder may not be written.
        DataError: The network cannot be loaded, or an exported network differs from the reference.
    """
    check_formats(formats)
    outputs.check_folder(output, [model.path])
    with files.atomic_folder(output) as folder:
        model.copy([*RECORDS, *(name for name in (CALIBRATION, temperatures.FILE) if name in model.sha256)], folder)
        found = write_networks(model, folder, formats)
        description = describe(model, found)
        description.write(folder / DESCRIPTION)
        write_checksums(folder)
    return description


def export_onnx_file(model: ModelFolder, output: Path) -> Deployment:
    """Write one ONNX file whose metadata (`pocketnet`) describe the preprocessing. Raises the errors of `export`."""
    check_formats(["onnx"])
    with files.atomic(output) as temporary:
        reference = engines.KerasEngine(model.path, None)
        _onnx(model, reference.network, temporary)
        found = _verified(model, reference, {"onnx": (output.name, _run_onnx(temporary))})
    return describe(model, found)


def check_formats(formats: Sequence[str]) -> None:
    """Check that the formats can be written.

    Raises:
        UsageError: A format is unknown, there is none, or the backend is not TensorFlow.
    """
    unknown = [name for name in formats if name not in NETWORKS]
    if unknown or not formats:
        raise UsageError(f"Unknown format '{', '.join(unknown)}'.", todo=f"Use some of: {', '.join(NETWORKS)}.")
    if backend.name() != "tensorflow":
        raise UsageError(f"Export needs the TensorFlow backend. Found: {backend.name()}.",
                         todo="Unset KERAS_BACKEND.")


def describe(model: ModelFolder, networks: dict[str, ExportedNetwork]) -> Deployment:
    """Return what a program needs to run the network: axes, classes, preprocessing with its constants, windows."""
    plan = model.plan
    spatial = ("x", "y", "z") if plan.network.dimensions == 3 else ("row", "column")
    rules = TASKS[plan.task]
    regions = overlapping(plan.labels)
    classes = (OutputClass("background", 0),) if rules.first_value and not regions else ()
    network = plan.network.network(model.provenance.arch, "pocket")
    given = plan.preprocessing
    return Deployment(
        dataset=plan.dataset, task=plan.task, model=model.digest, version=__version__, modalities=plan.modalities,
        classes=classes + tuple(OutputClass(label.name, label.value) for label in plan.labels),
        input=NetworkInput(INPUT, "float32", ("batch", *spatial, "channel"),
                           "RAS+" if plan.network.dimensions == 3 else "as stored", plan.training.patch,
                           network.divisor),
        output=NetworkOutput("float32", ("batch", *(spatial if rules.per_voxel else ()), "class"),
                             "region_probabilities" if regions else "probabilities"),
        preprocessing=Preparation(given.crop, given.spacing_mm, given.normalisation, given.size,
                                  model.provenance.intensity),
        inference=Windows(plan.inference.overlap, plan.inference.gaussian_sigma,
                          operations_of(plan, [model.provenance.decisions])),
        networks=networks)


def write_networks(model: ModelFolder, folder: Path, formats: Sequence[str]) -> dict[str, ExportedNetwork]:
    """Write and verify networks.

    Args:
        model: The model folder to export.
        folder: The folder to write to.
        formats: Keys of `NETWORKS`.

    Returns:
        By format: the file, the maximum difference of probabilities, the share of equal labels.

    Raises:
        DataError: An exported network differs from the reference.
    """
    from ..models.export import export_openvino

    written: dict[str, tuple[str, Run]] = {}
    reference = engines.KerasEngine(model.path, None)
    for name in formats:
        path = folder / NETWORKS[name]
        if name == "onnx":
            _onnx(model, reference.network, path)
            written[name] = path.name, _run_onnx(path)
        elif name == "openvino":
            export_openvino(reference.network, folder)
            written[name] = path.name, engines.make("openvino", folder, model.plan.training.patch,
                                                    model.plan.network.channels)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reference.network.export(path, format="tf_saved_model", verbose=False)
            written[name] = path.name, _run_saved_model(path)
    return _verified(model, reference, written)


def _onnx(model: ModelFolder, network: keras.Model, path: Path) -> None:
    """Write ONNX with the preprocessing in its metadata."""
    import onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network(np.zeros((1, *model.plan.training.patch, model.plan.network.channels), np.float32))  # Keras requires it
        network.export(path, format="onnx", verbose=False)
    graph = onnx.load(path)
    name_input(graph.graph, INPUT)
    onnx.helper.set_model_props(graph, {"pocketnet": json.dumps(_metadata(model))})
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def name_input(graph: Any, name: str) -> None:
    """Rename the input of an ONNX graph; Keras gives it the name of the network's input layer."""
    before, graph.input[0].name = graph.input[0].name, name
    for node in graph.node:
        node.input[:] = [name if one == before else one for one in node.input]


def _metadata(model: ModelFolder) -> dict[str, Any]:
    """Return the metadata of an ONNX file: the content of `deployment.json` without `networks`."""
    value = describe(model, {"onnx": ExportedNetwork(NETWORKS["onnx"], 0.0, 1.0)}).to_json()
    del value["networks"]
    return value


def _run_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {INPUT: image})[0]


def _run_saved_model(path: Path) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # safe: this process wrote the file
    return lambda image: loaded.serve(tf.constant(image)).numpy()


def _verified(model: ModelFolder, reference: Run, written: dict[str, tuple[str, Run]]
              ) -> dict[str, ExportedNetwork]:
    """Compare every exported network with the reference on the same patch of noise.

    Raises:
        DataError: One differs.
    """
    shape = (1, *model.plan.training.patch, model.plan.network.channels)
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = reference(image)
    found, problems = {}, []
    for name, (file, run) in written.items():
        given = np.asarray(run(image))
        difference = float(np.abs(given - expected).max()) if given.shape == expected.shape else float("inf")
        chosen = last_region if overlapping(model.plan.labels) else most_likely
        equal = float((chosen(given) == chosen(expected)).mean()) if np.isfinite(difference) else 0.0
        found[name] = ExportedNetwork(file, difference, equal)
        if not difference <= MOST_DIFFERENCE or equal < LEAST_EQUAL:
            problems.append(f"{file}: probabilities differ by {difference:.2g}, {equal:.2%} of labels are equal")
    if problems:
        raise DataError("An exported network gives other results than the trained one; nothing was written.",
                        problems=problems, where=str(model.path))
    return found
