"""A training that is repeated in part, and what is found if its record, its data or its network was changed."""

import shutil
from dataclasses import replace

import fake_run
import numpy as np
import pytest
import tiny
from pocketnet.contracts.chain import Link
from pocketnet.contracts.provenance import Provenance
from pocketnet.errors import DataError, UsageError
from pocketnet.preprocessing.store import open_stores, write_store
from pocketnet.training import chain, checkpoints, verified
from pocketnet.training.model_folder import ModelFolder
from pocketnet.training.run import Choice, Observer, run_key, train
from pocketnet.training.verified import CLOSE, SAME, TOLERANCE, Repeat, verify

EPOCHS, STEPS = 8, 2
SAY = Observer(lambda line: None)


@pytest.fixture(scope="module")
def trained(stores, tmp_path_factory):
    """A training of eight epochs, the folder with its stores, model folder and checkpoints."""
    folder = tmp_path_factory.mktemp("verified")
    shutil.copytree(stores["case_0"].folder.parent, folder / "stores")
    plan = tiny.plan(depth=1, epochs=EPOCHS, steps_per_epoch=STEPS)
    train(plan, tiny.splits(), [folder / "stores"], Choice("unet", "pocket", 0), folder / "model",
          folder / "checkpoints", observer=SAY)
    return folder


@pytest.fixture
def work(trained, tmp_path):
    """A copy, for a test to change."""
    return shutil.copytree(trained, tmp_path / "work")


def verifying(folder, first_step=None, **options):
    return verify(ModelFolder.open(folder / "model"), tiny.splits(), [folder / "stores"], folder / "checkpoints",
                  Repeat(first_step, **options), observer=SAY)


def rewrite(folder, links=None, **changes):
    """Change the record as a forger would: links follow from one another and checksums are those of the files."""
    path = folder / "model/provenance.json"
    record = Provenance.read(path)
    if links is not None:
        linked = []
        for one in links:
            linked.append(chain.next_link(linked[-1] if linked else None, one.step, one.weights, one.optimizer,
                                          one.labels, one.model))
        changes["chain"] = tuple(linked)
    replace(record, **changes).write(path)
    fake_run.record_anew(path)


def links_of(folder):
    return list(Provenance.read(folder / "model/provenance.json").chain)


def state_of(folder, step):
    (key,) = (folder / "checkpoints").iterdir()
    return checkpoints.kept_path(key, step)


def change_state(folder, step, change):
    path = state_of(folder, step)
    arrays, state = checkpoints.read(path)
    change(arrays["model"])
    written = checkpoints.write_checkpoint(path.parent, 99, arrays, state, keep=100)
    written.replace(path)
    return arrays["model"]


def test_every_kept_epoch_gives_the_same_weights_to_the_bit(trained):
    kept = sorted(int(path.stem.removeprefix("kept-")) // STEPS for path in (trained / "checkpoints").glob("*/kept-*"))
    assert kept == [1, 2, 3, 4, 5, 6, 7] and len(links_of(trained)) == EPOCHS + 1
    for step in (0, 6, STEPS * (EPOCHS - 1)):
        found = verifying(trained, step)
        assert (found.first_step, found.last_step, found.steps) == (step, step + STEPS, STEPS * EPOCHS)
        assert (found.agrees, found.distance, found.processor) == (SAME, 0, True)


def test_a_random_epoch_is_repeated(trained, monkeypatch):
    offered = []
    monkeypatch.setattr(verified.secrets, "choice", lambda there: offered.extend(there) or there[2])
    assert verifying(trained).first_step == 2 * STEPS and offered == list(range(EPOCHS))


def test_states_are_kept_in_pairs_as_far_as_there_is_room():
    assert chain.kept_epochs(40, 1) == {1, 8, 9, 16, 17, 24, 25, 32, 33}
    assert chain.kept_epochs(40, 100) == {1} and chain.kept_epochs(40, 300) == set()
    assert chain.kept_epochs(40, 80) == {1, 20, 21} and chain.kept_epochs(1, 1) == set()
    for epochs in range(1, 50):
        for size in (0.1, 30, 60, 120):
            assert len(chain.kept_epochs(epochs, size)) * size <= chain.KEPT_MIB


def test_a_store_with_another_label_is_found(work):
    image, label = tiny.volume(2)
    label[10, 6, 12] = 0
    shutil.rmtree(work / "stores/case_2")
    write_store(work / "stores", "case_2", ["t1", "t2"], tiny.prepared(image), label, {"ball": 1, "core": 2})
    with pytest.raises(DataError, match="is not that of the training: together they give the run key"):
        verifying(work, 0)
    model = ModelFolder.open(work / "model")
    split = tiny.splits().folds[0]
    forged = run_key(model.plan, split, "unet", "pocket", open_stores([work / "stores"]), "float32")
    (work / "checkpoints" / model.provenance.run_key).rename(work / "checkpoints" / forged)
    rewrite(work, run_key=forged)
    with pytest.raises(DataError, match="The labels of the patches differ from those of the training, between step 0"):
        verifying(work, 0)


def test_a_step_too_few_or_a_link_too_many_is_found(work):
    links = links_of(work)
    rewrite(work, [*links[:3], *links[4:]])
    with pytest.raises(DataError, match=r"links of the steps \[0, 2, 4, 8, .*expected \[0, 2, 4, 6, 8"):
        verifying(work)
    rewrite(work, chain=tuple(links[:3]) + tuple(replace(one, labels="0" * 64) for one in links[3:]))
    with pytest.raises(DataError, match="The chain is broken: the link of step 6"):
        verifying(work)
    rewrite(work, chain=None)
    with pytest.raises(UsageError, match="no chain to verify"):
        verifying(work)


def test_a_changed_weight_is_found_in_a_state_in_the_record_and_in_the_network(work):
    def change(arrays):
        arrays[0].flat[0] += np.float32(1e-3)

    change_state(work, 4, change)
    with pytest.raises(DataError, match="The weights of step 4 differ from the record"):
        verifying(work, 4)
    links = links_of(work)
    rewrite(work, [replace(one, weights="1" * 64) if one.step == 8 else one for one in links])
    with pytest.raises(DataError, match=r"from step 6 to step 8 they differ by 0\.?0* of the distance"):
        verifying(work, 6)
    shutil.copyfile(work / "model/last.keras", work / "model/model.keras")
    fake_run.record_anew(work / "model/model.keras")
    with pytest.raises(DataError, match="model.keras does not have the weights of step"):
        verifying(work, 0)


@pytest.mark.parametrize("by, alike", [(0.5 * TOLERANCE, True), (2 * TOLERANCE, False)])
def test_on_another_processor_the_weights_may_differ_by_rounding(work, by, alike):
    """The recorded state after an epoch is shifted by a share of the distance that the weights moved in it."""
    first = checkpoints.read(state_of(work, 4))[0]["model"]
    hardware = Provenance.read(work / "model/provenance.json").hardware

    def shift(arrays):
        for index, (array, before) in enumerate(zip(arrays, first, strict=True)):
            arrays[index] = (array + by * (array - before)).astype(array.dtype)

    shifted = change_state(work, 6, shift)
    digest = chain.weights_digest(shifted)
    rewrite(work, [replace(one, weights=digest) if one.step == 6 else one for one in links_of(work)],
            hardware=replace(hardware, cpu="another"))
    if alike:
        found = verifying(work, 4)
        assert (found.agrees, found.processor) == (CLOSE, False)
        assert found.distance == pytest.approx(by / (1 + by), rel=0.05)
    else:
        with pytest.raises(DataError, match=r"they differ by 0\.\d+ of the distance"):
            verifying(work, 4)
    state_of(work, 6).unlink()
    with pytest.raises(DataError, match="their distance is not known, because the checkpoint is not there"):
        verifying(work, 4)


def test_what_is_not_there_is_said(work):
    with pytest.raises(UsageError, match="There is no state of step 5") as caught:
        verifying(work, 5)
    assert "0, 2, 4, 6" in caught.value.todo
    with pytest.raises(UsageError, match="The training started from random weights"):
        verifying(work, 0, start=work / "model")
    rewrite(work, code="0" * 16)
    with pytest.raises(DataError, match="run key"):
        verifying(work, 0)


def test_a_link_follows_from_the_one_before():
    one = chain.next_link(None, 0, *["1" * 64] * 4)
    two = chain.next_link(one, 5, *["2" * 64] * 4)
    assert chain.first_broken([one, two]) is None and chain.first_broken([two]) == 5
    assert chain.first_broken([one, Link(5, *["2" * 64] * 4, link=one.link)]) == 5
    a, b = np.array([1, 0], np.uint8), np.array([0, 1], np.uint8)
    assert chain.labels_digest(chain.labels_digest(chain.NOTHING, a), b) != chain.labels_digest(
        chain.labels_digest(chain.NOTHING, b), a)
    assert chain.weights_digest([a.astype(np.float32)]) != chain.weights_digest([a.astype(np.int32)])
