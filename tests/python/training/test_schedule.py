"""Learning rate by the step, averaged weights, and a training that diverges."""

import numpy as np
import pytest
import tiny
from pocketnet import backend
from pocketnet.errors import Diverged, Stopped
from pocketnet.training import checkpoints


def trainer(stores, folder, **training):
    import keras
    from pocketnet.models.build import build
    from pocketnet.training.fit import Trainer
    from pocketnet.training.sampling import PatchSampler

    backend.configure(seed=7)
    keras.utils.set_random_seed(7)
    options = {name: training.pop(name) for name in ("deadline", "checkpoint_seconds") if name in training}
    plan = tiny.plan(depth=1, **{"epochs": 2, "steps_per_epoch": 4} | training)
    constants = tiny.splits().folds[0].intensity
    patches = [PatchSampler(plan, stores, cases, constants, 0) for cases in (["case_0", "case_1"], ["case_2"])]
    return Trainer(build(plan.network.network("unet", "pocket")), plan, *patches, folder, log=lambda _: None, **options)


@pytest.mark.parametrize("schedule, first, middle, last", [
    ("polynomial", 0.01, 0.01 * 0.5**0.9, 0.01 * 0.125**0.9),
    ("cosine", 0.01, 0.005, 0.01 * (1 + np.cos(np.pi * 7 / 8)) / 2)])
def test_the_rate_falls_towards_0_with_the_steps(schedule, first, middle, last):
    from pocketnet.training.fit import rate_at

    settings = tiny.plan(epochs=2, steps_per_epoch=4, schedule=schedule).training
    assert [rate_at(settings, step) for step in (1, 5, 8)] == pytest.approx([first, middle, last])


def test_the_first_steps_warm_up():
    from pocketnet.training.fit import rate_at

    plain, warm = (tiny.plan(epochs=2, steps_per_epoch=4, schedule="cosine", warm_up_steps=steps).training
                   for steps in (0, 3))
    shares = [rate_at(warm, step) / rate_at(plain, step) for step in range(1, 9)]
    assert shares == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1])


def test_weights_decay_and_biases_and_normalisations_do_not(stores, tmp_path):
    """With one seed the first step of Adam and of AdamW differ by the decay alone."""
    stepped = {}
    for optimizer in ("adam", "adamw"):
        one = trainer(stores, tmp_path / optimizer, optimizer=optimizer, weight_decay=0.5)
        before = [variable.numpy().copy() for variable in one.model.trainable_variables]
        _, image, label = next(one.train_patches.stream(1, 1))
        one._step(1, image, label)
        stepped[optimizer] = [variable.numpy() for variable in one.model.trainable_variables]
    for variable, start, adam, adamw in zip(one.model.trainable_variables, before, *stepped.values(), strict=True):
        decay = 0.01 * 0.5 * start if variable.name == "kernel" else 0
        np.testing.assert_allclose(adam - adamw, decay, atol=1e-6)


def test_the_rate_falls_on_a_plateau_as_with_keras(stores, tmp_path):
    import keras

    # So large a rate that the validation loss comes and goes.
    one = trainer(stores, tmp_path, learning_rate=0.5, plateau_patience=2, epochs=10, steps_per_epoch=1)
    history = one.run().history
    reference = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    reference.compile(keras.optimizers.SGD(0.5))
    callback = keras.callbacks.ReduceLROnPlateau("validation_loss", 0.5, 2, mode="min", min_delta=0)
    callback.set_model(reference)
    callback.on_train_begin()
    rates = []
    for row in history:
        rates.append(float(reference.optimizer.learning_rate.numpy()))
        callback.on_epoch_end(row["epoch"], {"validation_loss": row["validation_loss"]})
    assert [row["learning_rate"] for row in history] == pytest.approx(rates)
    assert rates[-1] < 0.5


def test_a_schedule_by_steps_heeds_no_plateau_and_is_recorded(stores, tmp_path):
    state = trainer(stores, tmp_path, schedule="cosine", plateau_patience=0, plateau_factor=0.001).run()
    assert [row["learning_rate"] for row in state.history] == pytest.approx(
        [0.01 * (1 + np.cos(np.pi * done)) / 2 for done in (3 / 8, 7 / 8)])


def test_averaged_weights_are_the_average_of_the_steps_and_leave_these_alone(stores, tmp_path):
    from pocketnet.training.compile import averaged

    one = trainer(stores, tmp_path / "one", average_decay=0.8)
    seen = []
    one.run(on_step=lambda step: seen.append(one.model.trainable_variables[0].numpy().copy()))
    expected = seen[0]
    for values in seen[1:]:
        expected = 0.8 * expected + 0.2 * values
    with averaged(one.model):
        np.testing.assert_allclose(one.model.trainable_variables[0].numpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(one.model.trainable_variables[0].numpy(), seen[-1])
    plain = trainer(stores, tmp_path / "plain")
    plain.run()
    np.testing.assert_array_equal(plain.model.trainable_variables[0].numpy(), seen[-1])  # training itself is the same


def test_averages_survive_a_stop_to_the_bit(stores, tmp_path):
    whole = trainer(stores, tmp_path / "whole", average_decay=0.8, schedule="polynomial")
    whole.run()
    with pytest.raises(Stopped):
        trainer(stores, tmp_path / "parts", average_decay=0.8, schedule="polynomial", deadline=0).run()
    resumed = trainer(stores, tmp_path / "parts", average_decay=0.8, schedule="polynomial")
    resumed.run()
    assert resumed.state.attempts[-1]["first_step"] > 1
    for a, b in zip(whole.model.optimizer.variables, resumed.model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b))
    for a, b in zip(whole.best_variables, resumed.best_variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rate, what", [(1e38, "the loss is nan at step 3"),
                                        (1e39, "weights are NaN or infinite at step 2")])
def test_a_diverged_training_says_where_and_keeps_the_last_good_checkpoint(stores, tmp_path, rate, what):
    """Neither weights that give such a loss nor infinite weights (the second rate is infinite in float32) stay."""
    good = trainer(stores, tmp_path)
    good.state.attempts.append({})
    good.state.step = 1
    good._write("stopped")
    diverging = trainer(stores, tmp_path, schedule="polynomial", learning_rate=rate, clip_norm=None,
                        checkpoint_seconds=0)
    with pytest.raises(Diverged) as caught:
        diverging.run()
    assert caught.value.exit_code == 5 and "training.learning_rate" in caught.value.todo
    assert caught.value.what == f"The training diverged: {what} of 8. The checkpoint of step 1 is kept."
    arrays, state = checkpoints.latest(tmp_path)
    assert state["step"] == 1
    for weights, value in zip(good.trained.variables, arrays["model"], strict=True):
        np.testing.assert_array_equal(np.array(weights), value)


def test_a_validation_loss_that_is_not_finite_is_a_diverged_training(stores, tmp_path):
    diverging = trainer(stores, tmp_path, steps_per_epoch=1)
    image, label = diverging.validation_batches[0]
    diverging.validation_batches = [(np.full_like(image, np.nan), label)]
    with pytest.raises(Diverged, match="the validation loss is nan at step 1 of 2. There is no checkpoint before it"):
        diverging.run()
