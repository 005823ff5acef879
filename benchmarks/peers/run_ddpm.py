"""denoising-diffusion-pytorch: its Unet and GaussianDiffusion, trained as its Trainer does, without a folder of files.

The readme's settings: dim_mults 1, 2, 4, 8, batch 32 accumulated twice, Adam at 8e-5 with betas 0.9 and 0.99, gradients
clipped at 1, EMA of 0.995 every ten steps, 250 DDIM steps. Ours: ``dim`` (the readme's 64 is for 128 x 128 on a GPU);
no mirroring, which would be wrong for digits; fp32.
"""

from __future__ import annotations

import torch
import torchvision_cpu  # noqa: F401  before what imports torchvision
from denoising_diffusion_pytorch import GaussianDiffusion, Unet
from ema_pytorch import EMA
from task import BudgetSpent, Task, as_pictures, count, cropped, in_pieces, padded

BATCH, ACCUMULATE, RATE = 32, 2, 8e-5


def train(task: Task, diffusion: GaussianDiffusion, average: EMA) -> None:
    """Until the budget is spent."""
    optimizer = torch.optim.Adam(diffusion.parameters(), lr=RATE, betas=(0.9, 0.99))
    batches = task.batches(BATCH)
    while True:
        for _ in range(ACCUMULATE):
            (diffusion(next(batches)) / ACCUMULATE).backward()
        torch.nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update()
        task.step()


def main() -> None:
    task = Task("denoising-diffusion-pytorch", dim=8, sampling_steps=250)
    dim, steps = task.options["dim"], task.options["sampling_steps"]
    height, width, channels = padded(task.images[:1]).shape[1:]
    task.start()
    model = Unet(dim=dim, dim_mults=(1, 2, 4, 8), channels=channels)
    diffusion = GaussianDiffusion(model, image_size=(height, width), timesteps=1000, sampling_timesteps=steps)
    average = EMA(diffusion, beta=0.995, update_every=10)
    try:
        train(task, diffusion, average)
    except BudgetSpent:
        trained = task.spent()
    average.ema_model.eval()
    settings = f"Unet dim {dim}, batch {BATCH} x {ACCUMULATE}, Adam {RATE:g}, EMA 0.995, DDIM {steps}"
    draw = lambda n: cropped(as_pictures(in_pieces(lambda k: average.ema_model.sample(batch_size=k), n)), task.images)  # noqa: E731
    task.report("ddpm-pytorch", draw, count(model), trained, settings)


if __name__ == "__main__":
    main()
