"""The families, one a file. Each is a `GenerativeModel` and knows nothing of the others."""

from __future__ import annotations

from sansheng.families.diffusion import Diffusion
from sansheng.families.flow import Flow
from sansheng.families.gan import GAN
from sansheng.families.vae import VAE
from sansheng.model import GenerativeModel

FAMILIES: dict[str, type[GenerativeModel]] = {"vae": VAE, "gan": GAN, "diffusion": Diffusion, "flow": Flow}
