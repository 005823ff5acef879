"""Commands as a person types them, in a folder of its own, and a few small runs for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sansheng.cli import main

TINY = ("--parameters", "5k", "--quiet")
TWO_STEPS = ("--steps", "2", *TINY)
Said = tuple[int, str, str]
Sansheng = Callable[..., Said]


@pytest.fixture
def sansheng(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sansheng:
    """Run a command in a folder of its own -> (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANSHENG_DEBUG", raising=False)

    def call(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, with a space and more in its name, of data and of runs that are named as their data."""
    folder = tmp_path_factory.mktemp("Größe 三")
    rng = np.random.default_rng(3)
    labels = np.arange(60) % 2
    np.savez(folder / "image.npz", images=rng.integers(0, 256, (60, 6, 5, 1), dtype=np.uint8), labels=labels)
    np.save(folder / "array.npy", rng.standard_normal((40, 3)).astype(np.float32))
    (folder / "text.txt").write_text("".join(f"{'abc'[i % 3]}{'xyz'[i % 2]}\n" for i in range(40)), "utf-8")
    pd.DataFrame({"size": rng.exponential(1, 40), "job": rng.choice(["cook", "poet"], 40)}).to_csv(
        folder / "table.csv", index=False
    )
    for name, family, more in (
        ("image.npz", "gan", ["--condition", "label"]),
        ("array.npy", "flow", []),
        ("text.txt", "vae", []),
        ("table.csv", "vae", ["--condition", "job"]),
    ):
        out = folder / f"a run of {Path(name).stem}"
        assert main(["train", str(folder / name), "--family", family, "--out", str(out), *TWO_STEPS, *more]) == 0
    return folder


def training(models: Path) -> tuple[str, ...]:
    """The words of a run of six steps, but for the place it goes to."""
    return "train", str(models / "image.npz"), "--family", "gan", "--steps", "6", "--parameters", "5k", "--out"
