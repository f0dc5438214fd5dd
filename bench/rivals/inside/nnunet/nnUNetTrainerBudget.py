"""nnU-Net's default trainer with a given number of epochs and steps; nnU-Net finds it through `nnUNet_extTrainer`.

Everything else is as in nnU-Net: loss, optimiser, polynomial schedule over all epochs, augmentation, deep supervision.
Its own way to another length is a subclass like this (its `nnUNetTrainer_50epochs` is one).
"""

import os

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class nnUNetTrainerBudget(nnUNetTrainer):
    """`nnUNetTrainer` of BENCH_EPOCHS epochs of BENCH_STEPS steps on BENCH_THREADS threads.

    One validation batch an epoch instead of 50: it only draws the progress plot and chooses `checkpoint_best`, which is
    not used. The prediction of the validation cases after the training is left to `nnUNetv2_predict`.
    """

    def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict,
                 device: torch.device = torch.device("cuda")):  # noqa: B008
        super().__init__(plans, configuration, fold, dataset_json, device)
        torch.set_num_threads(int(os.environ["BENCH_THREADS"]))
        torch.manual_seed(int(os.environ["BENCH_SEED"]))
        self.num_epochs = int(os.environ["BENCH_EPOCHS"])
        self.num_iterations_per_epoch = int(os.environ["BENCH_STEPS"])
        self.num_val_iterations_per_epoch = 1

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Leave the validation cases to `nnUNetv2_predict`, so that training and prediction are measured apart."""
