"""nnU-Net's trainer on a budget of processor seconds: nnUNetv2_train 1 2d 0 -tr BudgetTrainer -device cpu.

All that nnU-Net decides stays as it is, batch, patch, network, loss, augmentation, optimiser; only the length is
another. Its learning rate falls over the budget as it would over 1000 epochs, epochs are shorter so that the end is
met, and the cross-validation at the end is left out: the test patients are what is scored. The budget (s) is read from
``BUDGET_S``; checkpoints of the parts of it that ``BUDGET_MARKS`` names (0.5,1) are kept, as
``checkpoint_mark_0.5.pth``.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class BudgetTrainer(nnUNetTrainer):  # type: ignore[misc]
    """Trains until its processor seconds are spent."""

    def __init__(
        self, plans: dict[str, Any], configuration: str, fold: int, dataset_json: dict[str, Any], device: torch.device
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.budget_s = float(os.environ["BUDGET_S"])
        self.marks = [float(mark) for mark in os.environ["BUDGET_MARKS"].split(",")]
        self.num_iterations_per_epoch = 5
        self.num_val_iterations_per_epoch = 1
        self.save_every = self.num_epochs + 1  # marks alone are kept
        self.logger.plot_progress_png = lambda folder: None  # a picture for every five steps would cost more than they
        self.spent: list[dict[str, float]] = []
        self.n_steps = 0

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The step, counted."""
        self.n_steps += 1
        return dict(super().train_step(batch))

    def run_training(self) -> None:
        """As it is, until the budget is spent."""
        torch.set_num_threads(1)  # nnU-Net has set it to all processors by now
        self.on_train_start()
        started = time.process_time()
        share = 0.0
        while share < 1:
            self.on_epoch_start()
            self.network.train()
            self.lr_scheduler.step(min(share, 0.999) * self.num_epochs)
            self.logger.log("lrs", self.optimizer.param_groups[0]["lr"], self.current_epoch)
            steps = range(self.num_iterations_per_epoch)
            self.on_train_epoch_end([self.train_step(next(self.dataloader_train)) for _ in steps])
            with torch.no_grad():
                self.on_validation_epoch_start()
                self.on_validation_epoch_end([self.validation_step(next(self.dataloader_val))])
            self.on_epoch_end()
            spent_s = time.process_time() - started
            share = spent_s / self.budget_s
            self._keep_marks(share, spent_s)
        self.on_train_end()

    def _keep_marks(self, share: float, spent_s: float) -> None:
        while self.marks and share >= self.marks[0]:
            mark = self.marks.pop(0)
            self.save_checkpoint(str(Path(self.output_folder) / f"checkpoint_mark_{mark:g}.pth"))
            self.spent.append({"mark": mark, "training_s": spent_s, "n_steps": self.n_steps})
            (Path(self.output_folder) / "marks.json").write_text(json.dumps(self.spent), encoding="utf-8")

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Left out."""
