"""Export a Keras model to other inference engines."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from .. import backend

if TYPE_CHECKING:
    import keras


def export_openvino(model: keras.Model, folder: Path) -> None:
    """Write the network in OpenVINO format (float32), so that inference can start without TensorFlow.

    The export needs Keras' TensorFlow backend. With another backend it writes nothing, and the folder contains only
    `model.keras`.
    """
    if backend.name() != "tensorflow":
        return
    import openvino
    import tensorflow as tf

    logging.getLogger("openvino").setLevel(logging.ERROR)
    signature = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name="image")
    function = tf.function(lambda image: model(image, training=False), input_signature=[signature], autograph=False)
    graph = openvino.convert_model(function)
    openvino.save_model(graph, folder / "model.xml", compress_to_fp16=False)
