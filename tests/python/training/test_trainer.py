"""What a training decides, records and refuses around its steps; each step has a loss that is given here."""

import signal
import time

import fake_run
import pytest
import tiny
from pocketnet import backend
from pocketnet.contracts.provenance import Identity
from pocketnet.errors import DataError, DeviceMemoryError, Diverged, Stopped, UsageError
from pocketnet.training.devices import Devices
from pocketnet.training.run import Choice, Observer, _followed, run_key, train
from pocketnet.training.sampling import PatchSampler
from training.test_schedule import trainer


@pytest.fixture
def given(stores, tmp_path):
    """A trainer whose steps have the loss 0.5 and whose epochs have these validation losses, without a network."""
    def make(*losses, **training):
        one = trainer(stores, tmp_path / "checkpoints", **training)
        values = iter(losses)
        one._train_step = lambda image, label: 0.5
        one._validate = lambda: (next(values), {"validation_dice": 0.25})
        return one
    return make


def test_an_epoch_is_recorded(given, monkeypatch):
    monkeypatch.setattr(backend, "peak_device_memory_mib", lambda: 70.0)
    one = given(0.75, 0.5)
    state = one.run()
    assert [(row["epoch"], row["step"], row["loss"], row["validation_loss"], row["validation_dice"])
            for row in state.history] == [(1, 4, 0.5, 0.75, 0.25), (2, 8, 0.5, 0.5, 0.25)]
    assert [row["learning_rate"] for row in state.history] == pytest.approx([0.01, 0.01])
    assert [(row["epoch"], row["step"], row["device_memory_mib"]) for row in state.system] == [(1, 4, 70), (2, 8, 70)]
    assert all(row["host_memory_mib"] > 10 for row in state.system)
    assert (state.best, state.waited, state.loss_sum, state.peak_device_memory_mib) == (0.5, 0, 0.0, 70.0)
    assert [(one["first_step"], one["last_step"], one["ended"]) for one in state.attempts] == [(1, 8, "finished")]


def test_the_peak_of_device_memory_is_that_of_all_attempts(given, monkeypatch):
    one = given(*[0.5] * 2)
    one.state.attempts.append({})
    for memory, peak in ((None, None), (50.0, 50.0), (30.0, 50.0), (80.0, 80.0), (None, 80.0)):
        monkeypatch.setattr(backend, "peak_device_memory_mib", lambda memory=memory: memory)
        one._write("killed")
        assert one.state.peak_device_memory_mib == peak


def test_a_signal_or_the_time_limit_stops_after_the_step(given, tmp_path):
    """The handler is called as by a signal; `test_run` sends a real one to a process of its own."""
    one = given(0.75, 0.5)
    with pytest.raises(Stopped, match=r"Stopped at step 2 of 8 \(SIGTERM\)") as caught:
        one.run(lambda step: step == 2 and signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None))
    assert (caught.value.where, caught.value.todo) == (str(tmp_path / "checkpoints"),
                                                       "Run the same command again to go on.")
    again = given(0.75, 0.5, deadline=time.monotonic())
    with pytest.raises(Stopped, match=r"Stopped at step 3 of 8 \(time limit\)"):
        again.run()
    assert [row["ended"] for row in again.state.attempts] == ["stopped", "stopped"]
    last = given(0.75, 0.5)
    assert last.run().step == 8 and [row["first_step"] for row in last.state.attempts] == [1, 3, 4]


def test_losses_that_are_not_finite_end_the_training(given):
    with pytest.raises(Diverged, match="the validation loss is nan at step 4 of 8"):
        given(float("nan")).run()
    one = given(0.5)
    one._train_step = lambda image, label: float("inf")
    with pytest.raises(Diverged, match="the loss is inf at step 1 of 8.*There is no checkpoint"):
        one.run()


def test_a_step_that_does_not_fit_says_what_it_was(given, monkeypatch):
    one = given()
    one._train_step = lambda image, label: 1 / 0
    with pytest.raises(ZeroDivisionError):
        one.run()
    monkeypatch.setattr(backend, "is_out_of_memory", lambda error: isinstance(error, ZeroDivisionError))
    with pytest.raises(DeviceMemoryError, match=r"batch 2 and patch \(16, 16, 16\) does not fit") as caught:
        one.run()
    assert caught.value.todo == "Use a smaller --batch or --patch."


@pytest.mark.parametrize("training", [{"rematerialise": True}, {"accumulate": 2}])
def test_what_needs_one_device_is_refused_on_two(stores, tmp_path, monkeypatch, training):
    monkeypatch.setattr("pocketnet.training.fit.Devices", Two)
    with pytest.raises(UsageError, match="only on one device") as caught:
        trainer(stores, tmp_path, **training)
    assert caught.value.todo.startswith("Train on one, or set training.rematerialise to false")


class Two(Devices):
    """Two devices as far as a trainer asks before its first step."""

    def __init__(self):
        super().__init__()
        self.count = 2


def test_one_device_needs_no_strategy():
    one = Devices()
    assert one.count == 1 and one.scope().__enter__() is None
    one.check_batch(3)
    with pytest.raises(UsageError, match="either --gpus or --logical-cpus"):
        Devices(1, 1)
    with pytest.raises(UsageError, match="A batch of 5 cannot be shared equally by 2") as caught:
        Two().check_batch(5)
    assert caught.value.todo.startswith("Use a batch of 4 or 6 (")
    with pytest.raises(UsageError) as caught:
        Two().check_batch(1)
    assert caught.value.todo.startswith("Use a batch of 2 (")


class Follower:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def begin(self, record, plan):
        self.told.append(("begin", record.arch, plan.dataset))

    def epoch(self, history, system):
        self.told.append(("epoch", history["epoch"], system["step"]))

    def end(self, status):
        self.told.append(("end", status))


def test_a_follower_is_told_of_each_epoch_and_of_the_end(given):
    record = fake_run.provenance()
    record = Identity(**{name: getattr(record, name) for name in Identity.__dataclass_fields__})
    follower = Follower()
    _followed(given(0.75, 0.5), Observer(follow=follower), record, tiny.plan())
    assert follower.told == [("begin", "unet", "balls"), ("epoch", 1, 4), ("epoch", 2, 8), ("end", "FINISHED")]


@pytest.mark.parametrize(("error", "status"), [(Stopped("stopped"), "KILLED"), (KeyboardInterrupt(), "FAILED")])
def test_a_follower_is_told_of_a_training_that_ends_early(given, error, status):
    one, follower = given(), Follower()
    one.run = lambda *_: (_ for _ in ()).throw(error)
    with pytest.raises(type(error)):
        _followed(one, Observer(follow=follower), fake_run.provenance(), tiny.plan())
    assert [row[-1] for row in follower.told[1:]] == [status]


def test_a_training_without_stores_names_the_cases(stores, tmp_path):
    folder = next(iter(stores.values())).folder.parent
    with pytest.raises(DataError, match="2 of the fold's cases have no store") as caught:
        train(tiny.plan(), tiny.splits(8), [folder], Choice("unet", "pocket", 0), tmp_path / "out", tmp_path / "runs")
    assert caught.value.problems == ["case_6", "case_7"] and caught.value.todo.endswith("pocket-preprocess.")
    assert not (tmp_path / "runs").exists()


def test_a_run_key_covers_all_that_defines_a_training(stores):
    split = tiny.splits().folds[0]
    given = {"plan": tiny.plan(), "split": split, "arch": "unet", "width": "pocket", "stores": stores,
             "precision": "float32"}
    changes = ({}, {"plan": tiny.plan(batch=4)}, {"split": tiny.splits().folds[1]}, {"arch": "resnet"},
               {"width": "full"}, {"precision": "mixed_float16"},
               {"stores": stores | {"case_5": stores["case_0"]}})
    keys = [run_key(**given | change) for change in changes]
    assert len(set(keys)) == len(keys) and keys[0] == run_key(**given)
    assert run_key(**given | {"stores": stores | {"case_0": stores["case_1"]}}) == keys[0]  # a test case


def test_only_so_many_batches_are_made_ahead(stores):
    asked = []

    class Counted(PatchSampler):
        def batch(self, step):
            asked.append(step)
            return super().batch(step)

    stream = Counted(tiny.plan(), stores, ["case_0"], tiny.splits().folds[0].intensity, 0).stream(1, 9, ahead=2)
    assert next(stream)[0] == 1
    time.sleep(0.2)
    assert asked == [1, 2]
    stream.close()
