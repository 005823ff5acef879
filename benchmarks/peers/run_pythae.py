"""pythae: a VAE or a RAE with gradient penalty, drawn from with a normal prior and with a fitted Gaussian mixture.

Its MNIST examples' settings: latent_dim 16, squared error, batch 100, Adam at 1e-3, ten components. ``network=conv``
are the networks it ships for MNIST; ``network=mlp`` are those it takes where none are given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pythae.models import RAE_GP, VAE, RAE_GP_Config, VAEConfig
from pythae.models.nn.benchmarks import mnist
from pythae.pipelines import TrainingPipeline
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig, NormalSampler
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from task import BudgetSpent, Task, as_floats, as_pictures, count, cpu_seconds

LATENT, BATCH, RATE, COMPONENTS = 16, 100, 1e-3, 10


class Stop(TrainingCallback):
    """Counts steps and leaves when the budget is spent."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def on_train_step_end(self, training_config: BaseTrainerConfig, **kwargs: Any) -> None:
        self.task.step()


def build(kind: str, network: str, shape: tuple[int, ...]) -> torch.nn.Module:
    if kind == "rae-gp":
        config = RAE_GP_Config(input_dim=shape, latent_dim=LATENT, embedding_weight=1e-2, reg_weight=1e-4)
        parts = (mnist.Encoder_Conv_AE_MNIST, mnist.Decoder_Conv_AE_MNIST)
        family = RAE_GP
    else:
        config = VAEConfig(input_dim=shape, latent_dim=LATENT, reconstruction_loss="mse")
        parts = (mnist.Encoder_Conv_VAE_MNIST, mnist.Decoder_Conv_AE_MNIST)
        family = VAE
    if network == "mlp":
        return family(config)
    return family(config, encoder=parts[0](config), decoder=parts[1](config))


def main() -> None:
    task = Task("pythae", model="vae", network="conv", fit_images=10_000)
    kind, network = task.options["model"], task.options["network"]
    images = as_floats(task.images)
    model = build(kind, network, tuple(images.shape[1:]))
    training = BaseTrainerConfig(
        output_dir=str(task.out / "run"), per_device_train_batch_size=BATCH, learning_rate=RATE, num_epochs=100_000,
        optimizer_cls="Adam", no_cuda=True, seed=task.seed,
    )  # fmt: skip
    task.start()
    try:
        TrainingPipeline(training_config=training, model=model)(train_data=images, callbacks=[Stop(task)])
    except BudgetSpent:
        trained = task.spent()
    else:
        raise RuntimeError("training ended before its budget")
    model.eval()
    settings = f"{network}, latent {LATENT}, batch {BATCH}, Adam {RATE:g}"
    name = f"pythae-{kind}" + ("-mlp" if network == "mlp" else "")
    if kind == "vae":
        task.report(f"{name}-normal", drawing(NormalSampler(model)), count(model), trained, f"{settings}, normal prior")
    began = cpu_seconds()
    mixture = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=COMPONENTS))
    mixture.fit(images[: task.options["fit_images"]])
    fitted = cpu_seconds() - began
    settings += f", mixture of {COMPONENTS} fitted to {task.options['fit_images']} codes"
    task.report(f"{name}-gmm", drawing(mixture), count(model), trained, settings, fitted)


def drawing(sampler: Any) -> Any:
    def draw(n: int) -> np.ndarray:
        with torch.no_grad():
            return as_pictures(sampler.sample(num_samples=n, batch_size=500, return_gen=True).cpu())

    return draw


if __name__ == "__main__":
    main()
