"""torchgan: the DCGAN of its starter example through its Trainer.

Its settings: step_channels 16, 32 x 32 (so pictures are padded), the minimax losses, batch 128, Adam at 2e-4 with betas
0.5 and 0.999.
"""

from __future__ import annotations

import os

os.environ |= {"CONSOLE_LOGGING": "0", "TENSORBOARD_LOGGING": "0", "VISDOM_LOGGING": "0"}

import torch
import torchvision_cpu  # noqa: F401  before what imports torchvision
from task import BudgetSpent, Task, as_floats, as_pictures, count, cropped, in_pieces, padded
from torch.utils.data import DataLoader, TensorDataset
from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss
from torchgan.models import DCGANDiscriminator, DCGANGenerator
from torchgan.trainer import Trainer

BATCH = 128
ADAM = {"name": torch.optim.Adam, "args": {"lr": 2e-4, "betas": (0.5, 0.999)}}


class Timed(Trainer):
    """Leaves when the budget is spent, before the step that would go beyond it."""

    task: Task

    def train_iter_custom(self) -> None:
        if self.task.spent() >= self.task.budget:
            raise BudgetSpent
        self.task.steps += 1


def main() -> None:
    task = Task("torchgan", step_channels=16)
    width, images = task.options["step_channels"], padded(task.images)
    side, channels = images.shape[1], images.shape[3]
    if side != images.shape[2] or side & (side - 1):
        raise SystemExit(f"torchgan's DCGAN draws squares whose side is a power of 2, not {images.shape[1:3]}")
    pixels = as_floats(images) * 2 - 1
    loader = DataLoader(TensorDataset(pixels, torch.zeros(len(pixels))), batch_size=BATCH, shuffle=True)
    task.start()
    generator = {"out_size": side, "out_channels": channels, "step_channels": width}
    critic = {"in_size": side, "in_channels": channels, "step_channels": width}
    trainer = Timed(
        {
            "generator": {"name": DCGANGenerator, "args": generator, "optimizer": ADAM},
            "discriminator": {"name": DCGANDiscriminator, "args": critic, "optimizer": ADAM},
        },
        [MinimaxGeneratorLoss(), MinimaxDiscriminatorLoss()],
        device=torch.device("cpu"), epochs=100_000, sample_size=64,
        checkpoints=str(task.out / "model" / "gan"), recon=str(task.out / "images"), task=task,
    )  # fmt: skip
    try:
        trainer(loader)
    except BudgetSpent:
        trained = task.spent()
    made, judge = trainer.generator.eval(), trainer.discriminator
    settings = f"DCGAN, step_channels {width}, minimax, batch {BATCH}, Adam 2e-4"
    some = lambda n: made(torch.randn(n, made.encoding_dims)) / 2 + 0.5  # noqa: E731
    draw = lambda n: cropped(as_pictures(in_pieces(some, n)), task.images)  # noqa: E731
    task.report("torchgan-dcgan", draw, count(made, judge), trained, settings)


if __name__ == "__main__":
    main()
