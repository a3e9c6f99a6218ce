"""A small convolutional network, and training that can be taken up again where it was interrupted."""

from __future__ import annotations

import tempfile
from pathlib import Path

import mlflow
import torch
from digits import Images
from numpy.typing import NDArray
from torch import nn

BATCH = 64
CHECKPOINT = "checkpoints/last.pt"
"""Artifact of the run, written anew after each epoch."""


class Network(nn.Module):
    """Images of shape (rows, 1, 8, 8) to one probability for each of the ten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Dropout(0.3), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 10), nn.Softmax(dim=1),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class Training:
    """A network with its optimizer and the number of epochs that it has learned."""

    def __init__(self, learning_rate: float) -> None:
        torch.manual_seed(0)
        self.network = Network()
        self.optimizer = torch.optim.Adam(self.network.parameters(), learning_rate)
        self.epoch = 0

    def resume(self, run: str) -> None:
        """Take up another run's last checkpoint."""
        file = mlflow.artifacts.download_artifacts(run_id=run, artifact_path=CHECKPOINT)
        state = torch.load(file, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]

    def run(self, images: Images, labels: NDArray, epochs: int) -> None:
        """Learn until the given epoch. Logs the loss and a checkpoint after each."""
        self.network.train()
        given, wanted = torch.from_numpy(images), torch.from_numpy(labels)
        while self.epoch < epochs:
            torch.manual_seed(self.epoch)  # so that a resumed training draws what it would have drawn
            batches = torch.randperm(len(given)).split(BATCH)
            losses = [self._step(given[rows], wanted[rows]) for rows in batches]
            self.epoch += 1
            mlflow.log_metric("loss", sum(losses) / len(losses), step=self.epoch)
            self._save()

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        self.optimizer.zero_grad()
        loss = nn.functional.nll_loss(torch.log(self.network(images) + 1e-8), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def _save(self) -> None:
        folder, name = CHECKPOINT.split("/")
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
        }
        with tempfile.TemporaryDirectory() as here:
            torch.save(state, Path(here) / name)
            mlflow.log_artifact(str(Path(here) / name), folder)
