"""The network of a training step on a CPU: the variables and results of a network, with fewer operations.

- A transposed convolution, which no activation follows, and the convolution that reads it beside a skip connection are
  linear together. The part that reads the upsampled tensor equals one transposed convolution with a composed kernel
  (`compose`). For kernels 2 and 3 in 3D, it costs 8 multiplications per voxel and pair of feature maps instead of 28,
  and neither the upsampled tensor nor the concatenation exists. `inference.openvino_graph` does the same.
- A normalisation subtracts the mean and with it the bias of the convolution before it. The bias is left out; only the
  moving mean of a batch normalisation includes it.
- The softmax over few classes is computed with a small matrix product, because oneDNN's is slow over a short axis.
- The gradient of a 3D kernel can be computed `by_slices`, for which oneDNN has faster kernels without AVX-512.
- A 2D network on slices of volumes has 3D layers with kernels of one slice. Its training patches are single slices, and
  oneDNN convolves these as 2D images in 0.3 of the time (`in_plane`).
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from .normalisation import BatchNormalization, InstanceNormalization

if TYPE_CHECKING:
    import tensorflow as tf

MOST_WEIGHTS = 2**18
"""Maximum weights of a composed kernel. In wide networks, composing costs more than it saves."""
FEWEST_MAPS = 32
"""Feature maps of an input from which `by_slices` saves nothing."""
MOST_CLASSES = 8
"""Classes up to which `few_classes` is faster than TensorFlow's softmax."""


def fused(model: keras.Model, sliced: bool = False) -> keras.Model:
    """Return the same network, with the same layers and variables, whose training step has fewer operations.

    Args:
        model: A functional model with one input and one output, for TensorFlow.
        sliced: Whether to compute the gradients of 3D kernels `by_slices` where that is faster.
    """
    readers: dict[str, list[layers.Layer]] = {}
    for layer in model.layers:
        for tensor in _sources(layer):
            readers.setdefault(tensor.name, []).append(layer)
    known = {model.inputs[0].name: model.inputs[0]}

    def convolution(layer: layers.Layer, norm: layers.Layer | None) -> Any:
        """Apply the convolution `layer` and the normalisation after it; None if nothing can be saved."""
        source = _sources(layer)[0]
        given, up = [source], None
        both = source._keras_history.operation
        if isinstance(both, layers.Concatenate) and all(_is_plain(reader) for reader in readers[source.name]):
            above, *skip = _sources(both)
            if len(skip) == 1 and _is_composed(above, readers[above.name], layer):
                up = above._keras_history.operation
                given = [*_sources(up), *skip]
        if norm is None and up is None and not sliced and not _is_flat(layer):
            return None
        return Unit(layer, norm, up, sliced)([result(tensor) for tensor in given])

    def result(tensor: Any) -> Any:
        if tensor.name not in known:
            layer = tensor._keras_history.operation
            source = _sources(layer)[0]
            made = None
            if isinstance(layer, BatchNormalization | InstanceNormalization) and len(readers[source.name]) == 1 \
                    and _is_plain(source._keras_history.operation):
                made = convolution(source._keras_history.operation, layer)
            elif _is_plain(layer):
                made = convolution(layer, None)
            elif isinstance(layer, layers.Conv3DTranspose) and _is_flat(layer):
                made = Upsampling(layer)(result(source))
            elif isinstance(layer, layers.Softmax) and layer.axis == -1 and tensor.shape[-1] <= MOST_CLASSES:
                made = Probabilities(dtype=layer.dtype_policy, name=layer.name)(result(source))
            if made is None:
                given = [result(one) for one in _sources(layer)]
                made = layer(given if len(given) > 1 else given[0])
            known[tensor.name] = made
        return known[tensor.name]

    return keras.Model(model.input, result(model.outputs[0]), name=f"{model.name}_fused")


class Unit(layers.Layer):
    """A convolution, the normalisation after it, and the upsampling before it.

    Args:
        convolution: A convolution with stride 1 and "same" padding.
        norm: The normalisation that reads it, if any.
        up: The transposed convolution whose output, joined with a skip connection, the convolution reads, if any.
        sliced: Whether to compute the gradients of 3D kernels `by_slices` where that is faster.

    Input shape: a list of the convolution's input, or of the input of `up` and the skip connection. Output shape:
    that of the convolution.
    """

    def __init__(self, convolution: layers.Layer, norm: layers.Layer | None, up: layers.Layer | None, sliced: bool):
        super().__init__(name=f"{convolution.name}_unit", dtype="float32", autocast=False)
        self.convolution, self.norm, self.up, self.sliced = convolution, norm, up, sliced
        self.built = True

    def call(self, inputs: list[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Apply the layers."""
        import tensorflow as tf

        kernel = tf.convert_to_tensor(self.convolution.kernel)
        up = None if self.up is None else tf.convert_to_tensor(self.up.kernel)
        flat = all(in_plane(x, layer) for x, layer in zip(reversed(inputs), (self.convolution, self.up), strict=False))
        if flat:
            inputs, kernel = [tf.squeeze(x, -2) for x in inputs], tf.squeeze(kernel, 2)
            up = None if up is None else tf.squeeze(up, 2)
        y = self._convolve(inputs, kernel, up)
        y = tf.expand_dims(y, -2) if flat else y
        bias = tf.convert_to_tensor(self.convolution.bias) if self.convolution.use_bias else None
        if self.norm is not None:
            return self.norm(y, training=training, bias=bias)
        return y if bias is None else tf.nn.bias_add(y, tf.cast(bias, y.dtype))

    def _convolve(self, inputs: list[tf.Tensor], kernel: tf.Tensor, up: tf.Tensor | None) -> tf.Tensor:
        """The convolution of the inputs without its bias; `up` is the kernel of the upsampling before it."""
        import tensorflow as tf

        *below, x = inputs
        beside, terms = kernel, []
        if up is not None:
            middle, strides = up.shape[-2], up.shape[:-2]
            above, beside = kernel[..., :middle, :], kernel[..., middle:, :]
            composed = tf.cast(compose(up, above), x.dtype)
            terms = [tf.nn.conv_transpose(below[0], composed, tf.concat([tf.shape(x)[:-1], [kernel.shape[-1]]], 0),
                                          strides, "SAME")]
            if self.up is not None and self.up.use_bias:  # the padding cuts off the upsampled bias like the image
                bias = tf.einsum("o,...of->...f", tf.convert_to_tensor(self.up.bias), above)[..., None, :]
                ones = tf.ones(tf.concat([[1], tf.shape(x)[1:-1], [1]], 0), x.dtype)
                terms.append(tf.nn.convolution(ones, tf.cast(bias, x.dtype), padding="SAME"))
        beside = tf.cast(beside, x.dtype)
        y = by_slices(x, beside) if self.sliced and _is_slow(x) else tf.nn.convolution(x, beside, padding="SAME")
        for term in terms:
            y = y + term
        return y

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The shape of the convolution's output."""
        return (*input_shape[-1][:-1], self.convolution.filters)


class Upsampling(layers.Layer):
    """A transposed convolution of volumes with a kernel of one slice.

    Input and output shape: those of the transposed convolution.
    """

    def __init__(self, up: layers.Conv3DTranspose):
        super().__init__(name=f"{up.name}_unit", dtype="float32", autocast=False)
        self.up = up
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Apply the layer."""
        import tensorflow as tf

        if not in_plane(x, self.up):
            return self.up(x)
        size = [tf.shape(x)[0], *(tf.shape(x)[axis + 1] * self.up.strides[axis] for axis in (0, 1)), self.up.filters]
        kernel = tf.cast(tf.squeeze(tf.convert_to_tensor(self.up.kernel), 2), x.dtype)
        y = tf.nn.conv_transpose(tf.squeeze(x, -2), kernel, size, self.up.strides[:2], "SAME")
        if self.up.use_bias:
            y = tf.nn.bias_add(y, tf.cast(tf.convert_to_tensor(self.up.bias), y.dtype))
        return tf.expand_dims(y, -2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the transposed convolution's output."""
        return self.up.compute_output_shape(input_shape)


class Probabilities(layers.Layer):
    """The softmax over few classes.

    Input shape: (…, classes). Output shape: the same.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Apply the softmax over the last axis."""
        return few_classes(inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return input_shape


def few_classes(logits: tf.Tensor) -> tf.Tensor:
    """Return the softmax of (…, classes) over the last axis."""
    import tensorflow as tf

    classes = logits.shape[-1]
    ones = tf.ones((classes, classes), logits.dtype)

    def summed(x: tf.Tensor) -> tf.Tensor:  # and repeated for every class
        return tf.reshape(tf.matmul(tf.reshape(x, (-1, classes)), ones), tf.shape(x))

    @tf.custom_gradient
    def softmax(x: tf.Tensor) -> Any:
        powers = tf.exp(x - tf.reduce_max(x, -1, keepdims=True))
        probabilities = powers / summed(powers)

        def gradient(dy: tf.Tensor) -> tf.Tensor:
            weighted = probabilities * dy
            return weighted - probabilities * summed(weighted)

        return probabilities, gradient

    return softmax(logits)


def compose(up: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Return the kernel of the transposed convolution that equals a transposed convolution followed by a convolution.

    Args:
        up: Kernel of the transposed convolution, (*sides, middle, inputs), with strides equal to its sides.
        kernel: Kernel of the convolution, (*sides, middle, outputs), with odd sides.

    Returns:
        (*sides, outputs, inputs), whose sides are one less than the sum of both. Its padding is "same".
    """
    import tensorflow as tf

    sides = up.shape[:-2]
    flipped = tf.reverse(kernel, list(range(len(sides))))
    total = 0.0
    for place in itertools.product(*map(range, sides)):
        part = tf.einsum("mi,...mo->...oi", up[place], flipped)
        around = [[before, side - 1 - before] for before, side in zip(place, sides, strict=True)]
        total = total + tf.pad(part, [*around, [0, 0], [0, 0]])
    return total


def by_slices(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve volumes; the gradient of each plane of the kernel is that of a 2D convolution of slices.

    oneDNN 3.7 computes the gradient of a padded 3D kernel in this layout as a matrix product of copied neighbourhoods
    if there is no AVX-512. For 2D kernels it needs no copies. The slices of one sample are contiguous and not copied.

    Args:
        x: (batch, x, y, z, feature maps) with a known batch.
        kernel: (odd, odd, odd, feature maps, outputs).

    Returns:
        (batch, x, y, z, outputs).
    """
    import tensorflow as tf

    @tf.custom_gradient
    def convolve(x: tf.Tensor, kernel: tf.Tensor) -> Any:
        def gradients(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_x = tf.raw_ops.Conv3DBackpropInputV2(input_sizes=tf.shape(x), filter=kernel, out_backprop=dy,
                                                    strides=[1] * 5, padding="SAME")
            depth, reach = tf.shape(x)[1], kernel.shape[0] // 2
            planes = [tf.add_n([tf.raw_ops.Conv2DBackpropFilter(
                input=x[sample, max(shift, 0):depth + min(shift, 0)], filter_sizes=kernel.shape[1:],
                out_backprop=dy[sample, max(-shift, 0):depth + min(-shift, 0)], strides=[1] * 4, padding="SAME")
                for sample in range(x.shape[0])]) for shift in range(-reach, reach + 1)]
            return of_x, tf.stack(planes)

        return tf.nn.convolution(x, kernel, padding="SAME"), gradients

    return convolve(x, kernel)


def _is_slow(x: tf.Tensor) -> bool:
    """Return whether `by_slices` saves time for an input."""
    return len(x.shape) == 5 and x.shape[0] is not None and x.shape[-1] < FEWEST_MAPS and x.dtype == "float32"


def in_plane(x: tf.Tensor, layer: layers.Layer) -> bool:
    """Return whether `layer` processes `x` (batch, x, y, z, feature maps) like a 2D image: z and its kernel are 1."""
    return _is_flat(layer) and x.shape[-2] == 1


def _is_flat(layer: layers.Layer) -> bool:
    """Return whether the kernel of a 3D convolution, transposed or not, covers one slice."""
    return isinstance(layer, layers.Conv3D | layers.Conv3DTranspose) and layer.kernel_size[2] == layer.strides[2] == 1


def _is_plain(layer: layers.Layer) -> bool:
    """Return whether a layer is a convolution with stride 1, "same" padding and no activation."""
    return (isinstance(layer, layers.Conv2D | layers.Conv3D) and set(layer.strides) == set(layer.dilation_rate) == {1}
            and (layer.padding == "same" or set(layer.kernel_size) == {1}) and layer.groups == 1
            and all(side % 2 for side in layer.kernel_size) and layer.data_format == "channels_last"
            and layer.activation is keras.activations.linear)


def _is_composed(above: Any, readers: list[layers.Layer], reader: layers.Layer) -> bool:
    """Return whether the tensor `above` is an upsampled one that `reader` can do without."""
    up = above._keras_history.operation
    return (isinstance(up, layers.Conv2DTranspose | layers.Conv3DTranspose) and len(readers) == 1
            and up.strides == up.kernel_size and up.activation is keras.activations.linear
            and up.input.shape[-1] * reader.filters * math.prod(
                a + b - 1 for a, b in zip(up.kernel_size, reader.kernel_size, strict=True)) <= MOST_WEIGHTS)


def _sources(layer: layers.Layer) -> list[Any]:
    given = layer.input
    return given if isinstance(given, list) else [given]
