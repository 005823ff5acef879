"""Features from large networks trained elsewhere: Inception-v3, DINOv2 and CLIP, for those who have been online once.

An extractor is any function from pictures, uint8 ``(N, H, W, C)``, to features, float32 ``(N, D)``, one row for each
picture and the same whatever stands beside it; every score of features takes what it gives. `features_of` makes one of
any network, and three are ready:

    extract = dinov2()                                # downloads its weights on the first call, then keeps them
    score_features(extract(train), extract(held_out), extract(samples), generator=generator)

The one constraint: nothing is imported, built or downloaded before a function here is called. The packages come with
``pip install 'sansheng[features]'``; the weights come from the net once and from the cache of torch or Hugging Face
from then on.

What a network sees of other pictures than RGB: grey is repeated three times, and what is transparent stands on white.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn

Extractor = Callable[[np.ndarray], np.ndarray]
"""Pictures, uint8 ``(N, H, W, C)`` -> features, float32 ``(N, D)``."""

EXTRA = "features"
BATCH = 64
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
"""Mean and deviation of the channels that each network was trained with, pictures being in [0, 1]."""


def inception(*, device: str = "cpu") -> Extractor:
    """The 2,048 features that the Frechet inception distance is defined on (Heusel et al. 2017), by torch-fidelity.

    Its network resizes as the original does, so values compare with those of papers at the same number of samples. Made
    for photographs; its maintainers advise against it for small grey pictures. Needs to be online once, for 95 MB.
    Raises ModuleNotFoundError if torch-fidelity is missing and ConnectionError if the weights cannot be had.
    """
    package = _package("torch_fidelity.feature_extractor_inceptionv3", "torch-fidelity")
    network = _build(lambda: package.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]))
    return features_of(lambda pictures: network(pictures.to(torch.uint8))[0], network, device=device)


def dinov2(name: str = "vit_small_patch14_dinov2.lvd142m", *, side: int = 224, device: str = "cpu") -> Extractor:
    """The class token of DINOv2 (Oquab et al. 2023), by timm: 384 features of the small network, 1,024 of the large.

    Nearest to what people see in pictures, of the features compared by Stein et al. 2023 (who take
    ``vit_large_patch14_dinov2.lvd142m``). `side` is a multiple of 14 pixels. Needs to be online once, for 90 MB.
    Raises ModuleNotFoundError if timm is missing, ConnectionError if the weights cannot be had, ValueError for `side`.
    """
    if side < 14 or side % 14:
        raise ValueError(f"side must be a multiple of 14 pixels, not {side}")
    package = _package("timm", "timm")
    network = _build(lambda: package.create_model(name, pretrained=True, num_classes=0, img_size=side))
    return features_of(lambda pictures: network(prepare(pictures, side, *IMAGENET)), network, device=device)


def clip(name: str = "vit_base_patch32_clip_224.openai", *, device: str = "cpu") -> Extractor:
    """The picture's embedding by CLIP (Radford et al. 2021), by timm: 512 features, before they are normalised.

    Needs to be online once, for 350 MB. Raises ModuleNotFoundError and ConnectionError as `dinov2`.
    """
    package = _package("timm", "timm")
    network = _build(lambda: package.create_model(name, pretrained=True))
    return features_of(lambda pictures: network(prepare(pictures, 224, *OPENAI)), network, device=device)


def features_of(
    embed: Callable[[Tensor], Tensor], network: nn.Module, *, device: str = "cpu", batch: int = BATCH
) -> Extractor:
    """An extractor of `embed`, which takes RGB pictures ``(B, 3, H, W)``, floats in [0, 255], to ``(B, D)``.

    `network`, which `embed` uses, is put on `device` and into evaluation, where no picture depends on its neighbours.
    """
    network.to(device).eval()

    def extract(images: UInt8[np.ndarray, "N H W C"]) -> Float[np.ndarray, "N D"]:
        if images.dtype != np.uint8 or images.ndim != 4 or not 1 <= images.shape[3] <= 4 or not len(images):
            raise ValueError(f"pictures must be uint8 (N, H, W, C), N >= 1, C in 1 .. 4: {images.dtype} {images.shape}")
        with torch.inference_mode():
            starts = range(0, len(images), batch)
            parts = [embed(rgb(torch.from_numpy(images[i : i + batch].copy()).to(device))) for i in starts]
            return torch.cat([part.float().cpu() for part in parts]).flatten(1).numpy()

    return extract


def rgb(images: Shaped[Tensor, "B H W C"]) -> Float[Tensor, "B 3 H W"]:
    """Grey, grey + alpha, RGB or RGBA as RGB in [0, 255], on white, rounded as a file would be."""
    x = images.permute(0, 3, 1, 2).float()
    if x.shape[1] in (2, 4):
        opacity = x[:, -1:] / 255
        x = (x[:, :-1] * opacity + 255 * (1 - opacity)).round()
    return x.expand(-1, 3, -1, -1)


def prepare(
    pictures: Float[Tensor, "B 3 H W"], side: int, mean: tuple[float, ...], deviation: tuple[float, ...]
) -> Float[Tensor, "B 3 S S"]:
    """Pictures in [0, 255] resized to `side` pixels (bicubic, antialiased) and standardised by channel."""
    x = F.interpolate(pictures, (side, side), mode="bicubic", antialias=True, align_corners=False)
    centre, scale = (x.new_tensor(values)[:, None, None] for values in (mean, deviation))
    return (x.clamp(0, 255) / 255 - centre) / scale


def _package(module: str, distribution: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        message = f"these features need {distribution}: pip install 'sansheng[{EXTRA}]'"
        raise ModuleNotFoundError(message, name=error.name) from error


def _build(make: Callable[[], nn.Module]) -> nn.Module:
    """The network, with the state of torch's own randomness as it was."""
    try:
        with torch.random.fork_rng(devices=[]):
            return make()
    except OSError as error:
        raise ConnectionError(
            f"the weights could not be had ({error}); be online once, and they are kept for later"
        ) from error
