"""Mixed precision: what is saved is float32, and the loss scale is part of a training's state."""

import numpy as np
import pytest
import tiny
from pocketnet import backend
from pocketnet.errors import Stopped


@pytest.fixture
def in_precision():
    """Set the precision for a test, float32 after it."""
    backend.configure(seed=7)
    yield backend.set_precision
    backend.set_precision("float32")


def trainer(stores, folder, precision, arch="unet", **options):
    import keras
    from pocketnet.models.build import build
    from pocketnet.training.fit import Trainer
    from pocketnet.training.sampling import PatchSampler

    keras.utils.set_random_seed(7)
    plan = tiny.plan(depth=1, precision=precision, epochs=2, steps_per_epoch=4)
    constants = tiny.splits().folds[0].intensity
    patches = [PatchSampler(plan, stores, cases, constants, 0) for cases in (["case_0", "case_1"], ["case_2"])]
    return Trainer(build(plan.network.network(arch, "pocket")), plan, *patches, folder, log=lambda _: None, **options)


# TensorFlow has no float16 max-pooling for processors; DenseNet goes down by strided convolutions.
@pytest.mark.parametrize("precision, arch", [("mixed_float16", "densenet"), ("mixed_bfloat16", "unet")])
def test_stopped_and_resumed_is_the_same_to_the_bit(stores, tmp_path, in_precision, precision, arch):
    import keras

    in_precision(precision)
    whole = trainer(stores, tmp_path / "whole", precision, arch)
    whole.run()
    with pytest.raises(Stopped):
        trainer(stores, tmp_path / "parts", precision, arch, deadline=0).run()
    resumed = trainer(stores, tmp_path / "parts", precision, arch)
    resumed.run()
    assert resumed.state.attempts[-1]["first_step"] > 1
    for a, b in zip([*whole.model.variables, *whole.model.optimizer.variables],
                    [*resumed.model.variables, *resumed.model.optimizer.variables], strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))
    names = [v.path for v in whole.model.optimizer.variables]
    assert any("dynamic_scale" in name for name in names) == (precision == "mixed_float16")
    losses = [row["loss"] for row in whole.state.history]
    assert losses[-1] < losses[0]


def test_layers_compute_in_16_bits_and_weights_and_probabilities_do_not(in_precision):
    from pocketnet.models.build import build

    in_precision("mixed_bfloat16")
    model = build(tiny.plan().network.network("unet", "pocket"))
    assert model.get_layer("encoder0_conv1").compute_dtype == "bfloat16"
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert model.output.dtype == "float32"


def test_float16_is_for_a_gpu():
    assert backend.usable_precision("mixed_float16") == ("mixed_float16" if backend.on_gpu() else "float32")


@pytest.mark.parametrize("flags, usable", [("sse avx2 avx512f", "float32"), ("avx512f avx512_bf16", "mixed_bfloat16"),
                                           ("amx_bf16 amx_tile", "mixed_bfloat16"), (None, "float32")])
def test_bfloat16_is_for_processors_that_multiply_it(monkeypatch, flags, usable):
    monkeypatch.setattr(backend, "on_gpu", lambda: False)
    monkeypatch.setattr(backend, "_lines", lambda path: [f"flags\t\t: {flags}\n"] if flags else [])
    assert backend.usable_precision("mixed_bfloat16") == usable
