"""A 2D network on volumes: trained and applied slice by slice, on every engine."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from inference.conftest import make_stores
from PIL import Image
from pocketnet import Predictor
from pocketnet.cli.infer import main as infer
from pocketnet.contracts.plan import Configuration
from pocketnet.evaluation.metrics import dice
from pocketnet.preprocessing import geometry
from pocketnet.training.run import Choice, train

AUGMENTATION = {"flip": 0.5, "noise": 0.0, "blur": 0.0, "flip_axes": [0, 1]}


@pytest.fixture(scope="module")
def sliced(tmp_path_factory):
    """A 2D network for the made volumes."""
    folder = tmp_path_factory.mktemp("slices")
    manifest = tiny.dataset(folder / "data")
    plan = tiny.plan(epochs=1, steps_per_epoch=30, batch=6, patch=[16, 16, 1], augmentation=AUGMENTATION)
    plan = replace(plan, configuration=Configuration("2d", "a test"),
                   network=replace(plan.network, kernel=(3, 3, 1), pooling=((2, 2, 1), (2, 2, 1))),
                   inference=replace(plan.inference, largest_component=False))
    make_stores(folder / "stores", folder / "data", manifest, plan)
    train(plan, tiny.splits(), [folder / "stores"], Choice("unet", "pocket", 0), folder / "model",
          folder / "checkpoints")
    return folder / "model"


def test_a_volume_is_segmented_slice_by_slice(sliced):
    image, label = tiny.volume(0)
    order = np.random.default_rng(0).permutation(image.shape[2])
    found = {}
    for engine, windows in (("openvino", "auto"), ("openvino", "plan"), ("tensorflow", "plan")):
        predictor = Predictor.load(sliced, engine=engine, windows=windows)
        classes, turned = predictor(image), predictor(np.ascontiguousarray(image[:, :, order]))
        assert classes.shape == label.shape and dice(classes > 0, label > 0) > 0.5
        assert (turned == classes[:, :, order]).mean() > 0.999  # the order of the slices changes nothing
        found[engine, windows] = classes
    assert (found["openvino", "plan"] == found["tensorflow", "plan"]).mean() > 0.999


def test_images_of_slices_give_images_of_the_same_size(sliced, tmp_path):
    image, images = tiny.volume(0)[0], tmp_path / "images"
    images.mkdir()
    for name, plane in (("a", 10), ("b", 12)):
        for channel, modality in enumerate(("t1", "t2")):
            Image.fromarray(image[:, :, plane, channel].astype(np.uint16)).save(images / f"{name}_{modality}.png")
    common = ["--model", str(sliced), "--engine", "openvino"]

    def run(*arguments):
        done = CliRunner().invoke(infer, [*common, *map(str, arguments)])
        return done.exit_code, done.output

    assert run(images, "--suffix", ".png", "-o", tmp_path / "png")[0] == 0
    assert run(images, "-o", tmp_path / "nifti")[0] == 0
    assert run(f"t1={images}/a_t1.png", f"t2={images}/a_t2.png", "-o", tmp_path / "one.tif")[0] == 0
    for name in ("a", "b"):
        found = np.asarray(Image.open(tmp_path / f"png/{name}.png"))
        assert found.shape == (20, 12) and found.max() > 0 and found.dtype == np.uint8
        volume = geometry.read(tmp_path / f"nifti/{name}.nii.gz", label=True)
        np.testing.assert_array_equal(geometry.from_ras(volume.data, volume.grid)[..., 0].T, found)
        assert (tmp_path / f"png/{name}_picture.png").is_file()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "one.tif")),
                                  np.asarray(Image.open(tmp_path / "png/a.png")))
    code, said = run(images, "--suffix", ".png", "-o", tmp_path / "png")
    assert code == 0 and "2 were finished" in said
    for arguments, words in (((images, "-o", tmp_path / "a.jpg"), "JPEG changes"),
                             ((images, "--suffix", ".gif", "-o", tmp_path / "x"), "no suffix"),
                             ((images, "--suffix", ".png", "-o", tmp_path / "x.png"), "folder")):
        code, said = run(*arguments)
        assert code == 2 and words in said
