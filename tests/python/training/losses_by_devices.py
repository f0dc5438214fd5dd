"""Print the losses of some steps on one device and on two logical ones, as JSON by norm and devices.

With the number of nodes as second argument, only those of one of the processes on so many nodes.

A program of its own, run by `test_devices.py`: TensorFlow cuts the CPU into devices only before its first use.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import tiny
from pocketnet import backend
from pocketnet.preprocessing import store
from pocketnet.training.devices import Devices

NETWORKS = {"batch": False, "instance": True}  # by their norm: whether the loss is scaled as float16 needs it
STEPS = 6


def main() -> None:
    backend.configure(threads=1, seed=7)
    places = [Devices(nodes=int(sys.argv[2]))] if sys.argv[2:] else [Devices(logical_cpus=2), Devices()]
    import keras
    from pocketnet.models.build import build
    from pocketnet.training.compile import compile_for_training
    from pocketnet.training.losses import l2_dice
    from pocketnet.training.sampling import PatchSampler

    plan = tiny.plan(depth=1, batch=4)
    patches = PatchSampler(plan, store.open_stores([Path(sys.argv[1])]), ["case_0", "case_1", "case_2"], [], fold=0)
    clip_norm = 0.05  # below the gradients' norm: clipping before or after adding up is not the same
    losses = {}
    for norm, scaled in NETWORKS.items():
        network = replace(plan.network, norm=norm).network("unet", "pocket")
        for devices in places:
            keras.utils.set_random_seed(7)
            with devices.scope():
                model = build(network)
                compile_for_training(model, "l2_dice", 1e-3, clip_norm)
                if scaled:  # the CPU cannot train in float16, but it can scale the loss
                    model.optimizer = keras.optimizers.LossScaleOptimizer(model.optimizer)
                    model.optimizer.build(model.trainable_variables)
            step = devices.train_step(model, l2_dice, clip_norm)
            run = [step(*patches.batch(number)) for number in range(1, STEPS + 1)]
            image = patches.batch(STEPS)[0][:3]  # an odd number of samples
            losses.setdefault(norm, {})[devices.count] = {
                "losses": run, "predicted": devices.predict(model)(image).mean(axis=(0, 1, 2, 3)).tolist()}
    print(json.dumps(losses))


if __name__ == "__main__":
    main()
