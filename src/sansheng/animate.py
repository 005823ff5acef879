"""Moving pictures: what a model drew while it was trained, and noise on its way to data.

The one constraint: frames are made of previews, so what has no picture cannot be animated.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from sansheng.codecs.base import Codec
from sansheng.errors import DataError
from sansheng.model import Sampling
from sansheng.run import Run

SHOWN = 36
FRAME = 120
"""[ms] a frame is shown."""
LAST = 1500
SUFFIXES = (".gif", ".webp")


def animate_training(run: Run, out: str | Path) -> Path:
    """The previews of a run, from fixed noise at log-spaced steps, as ``.gif`` or ``.webp``.

    Raises DataError for a run that kept no pictures, ValueError for another suffix.
    """
    files = sorted((run.path / "previews").glob("step-*.png"))
    if not files:
        raise DataError(f"{run.path} has no pictures of its training: its previews are not pictures, or were off")
    return _write([Image.open(file).convert("RGB") for file in files], Path(out))


def animate_sampling(
    run: Run, out: str | Path, *, seed: int = 0, steps: int | None = None, sampler: str | None = None
) -> Path:
    """What a diffusion or a flow expects data to be, E[x | x_t], at each evaluation on the way from noise to data.

    Raises ValueError for other families, for data without pictures, and for another suffix.
    """
    seen: list[Tensor] = []
    condition = run.condition_rows(SHOWN, {}, seed)
    settings = Sampling(steps, sampler, watch=lambda x: seen.append(x.cpu()))
    given = None if condition is None else condition.to(run.device)
    generator = torch.Generator(run.device).manual_seed(seed)
    seen.append(run.model.sample(SHOWN, condition=given, settings=settings, generator=generator).cpu())
    if len(seen) == 1:
        family = run.recipe.family
        raise ValueError(f"a {family} draws at once, or no pictures: there is no way from noise to data to be shown")
    return _write([_frame(run.codec, x, condition) for x in seen], Path(out))


def _frame(codec: Codec, x: Tensor, condition: Tensor | None) -> Image.Image:
    with tempfile.TemporaryDirectory() as scratch:
        path = codec.preview(codec.decode(x, condition), Path(scratch) / "frame")
        if path.suffix != ".png":
            raise ValueError("only what has a picture can be animated: images and points")
        return Image.open(path).convert("RGB")


def _write(frames: list[Image.Image], path: Path) -> Path:
    """Frames of one size as an animation that rests on its last one."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"an animation is a .gif or a .webp file, not {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    times = [FRAME * (2 if len(frames) < 12 else 1)] * (len(frames) - 1) + [LAST]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=times, loop=0)
    return path
