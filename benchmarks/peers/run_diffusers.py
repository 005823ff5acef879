"""diffusers: the unconditional training example. UNet2DModel, DDPM with 1,000 steps, noise predicted, DDIM 50.

Its settings: batch 16, AdamW at 1e-4, 500 steps of warm-up, gradients clipped at 1, EMA of power 3/4. Ours: three
levels as wide as ``width`` times 1, 2, 4 with attention on the last but one, since the example's six levels are for
128 x 128; no mirroring, which would be wrong for digits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import EMAModel
from task import BudgetSpent, Task, as_pictures, count, cropped, in_pieces, padded

BATCH, RATE, BETAS, DECAY, EPOCHS = 16, 1e-4, (0.95, 0.999), 1e-6, 100


def build(shape: tuple[int, ...], width: int) -> UNet2DModel:
    return UNet2DModel(
        sample_size=shape[:2], in_channels=shape[2], out_channels=shape[2], layers_per_block=2,
        block_out_channels=(width, 2 * width, 4 * width), norm_num_groups=min(32, width),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip


def train(task: Task, model: UNet2DModel, average: EMAModel) -> None:
    """Until the budget is spent."""
    schedule = DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, weight_decay=DECAY)
    rate = get_cosine_schedule_with_warmup(optimizer, task.options["warm_up"], len(task.images) // BATCH * EPOCHS)
    for batch in task.batches(BATCH):
        clean = batch * 2 - 1
        noise, times = torch.randn_like(clean), torch.randint(0, 1000, (len(clean),))
        predicted = model(schedule.add_noise(clean, noise, times), times, return_dict=False)[0]
        F.mse_loss(predicted, noise).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        task.step()


def main() -> None:
    task = Task("diffusers", width=16, warm_up=500, sampling_steps=50)
    steps, shape = task.options["sampling_steps"], padded(task.images[:1]).shape[1:]
    task.start()
    model = build(shape, task.options["width"])
    average = EMAModel(model.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75)
    try:
        train(task, model, average)
    except BudgetSpent:
        trained = task.spent()
    average.copy_to(model.parameters())
    model.eval()
    sampler = DDIMScheduler(num_train_timesteps=1000)
    sampler.set_timesteps(steps)

    def some(n: int) -> torch.Tensor:
        x = torch.randn(n, shape[2], *shape[:2])
        for t in sampler.timesteps:
            x = sampler.step(model(x, t, return_dict=False)[0], t, x, return_dict=False)[0]
        return x / 2 + 0.5

    settings = f"UNet2DModel width {task.options['width']}, batch {BATCH}, AdamW {RATE:g}, EMA, DDIM {steps}"
    draw = lambda n: cropped(as_pictures(in_pieces(some, n)), task.images)  # noqa: E731
    task.report("diffusers-ddim", draw, count(model), trained, settings)


if __name__ == "__main__":
    main()
