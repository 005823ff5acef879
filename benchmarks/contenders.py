"""Who takes part, with which script and options, and how a peer's own environment is made.

The one constraint: a peer is installed in an environment of its own, from ``peers/NAME.txt`` and, without what they
ask for in turn, ``peers/NAME.bare.txt``; none of them is a dependency of ours.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from interleave import Job

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
OURS = ("vae", "gan", "diffusion", "flow")
ENVIRONMENTS = ("pythae", "diffusers", "ddpm", "torchgan")


@dataclass(frozen=True)
class Contender:
    """script: in ``peers``. environment: whose python runs it; empty for the one that runs this."""

    script: str
    environment: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


CONTENDERS = {
    **{f"sansheng-{name}": Contender("run_sansheng.py", "", {"family": name}) for name in OURS},
    "pythae-vae": Contender("run_pythae.py", "pythae", {"model": "vae"}),
    "pythae-vae-mlp": Contender("run_pythae.py", "pythae", {"model": "vae", "network": "mlp"}),
    "pythae-rae-gp": Contender("run_pythae.py", "pythae", {"model": "rae-gp"}),
    "torchgan": Contender("run_torchgan.py", "torchgan"),
    "diffusers": Contender("run_diffusers.py", "diffusers"),
    "ddpm": Contender("run_ddpm.py", "ddpm"),
}  # fmt: skip


def prepare(folder: Path, names: Sequence[str] = ENVIRONMENTS) -> None:
    """Make the environments that are not there yet, about 1 GB each. Raises CalledProcessError if pip fails."""
    for name in names:
        python = folder / name / "bin" / "python"
        marker = folder / name / "ready"
        if marker.exists():
            continue
        print(f"installing {name}", flush=True)
        venv.create(folder / name, with_pip=True, symlinks=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(PEERS / f"{name}.txt")], check=True)
        if (bare := PEERS / f"{name}.bare.txt").exists():
            subprocess.run([*pip, "--no-deps", "-r", str(bare)], check=True)
        marker.touch()


def choose(names: str) -> dict[str, Contender]:
    """The contenders named, separated by commas, or all. Raises ValueError listing the valid names."""
    wanted = [name for name in names.split(",") if name] or list(CONTENDERS)
    if unknown := [name for name in wanted if name not in CONTENDERS]:
        raise ValueError(f"no contender is called {', '.join(unknown)}; there are {', '.join(CONTENDERS)}")
    return {name: CONTENDERS[name] for name in wanted}


def changed(contenders: Mapping[str, Contender], pairs: Sequence[str]) -> dict[str, Contender]:
    """With options of ``NAME.KEY=VALUE``. Raises ValueError for another form or a name that does not take part."""
    result = dict(contenders)
    for pair in pairs:
        place, equals, value = pair.partition("=")
        name, dot, key = place.partition(".")
        if not (equals and dot) or name not in result:
            raise ValueError(f"--set is CONTENDER.KEY=VALUE with one of {', '.join(result)}, not {pair!r}")
        old = result[name]
        result[name] = Contender(old.script, old.environment, {**old.options, key: value})
    return result


def job(name: str, contender: Contender, environments: Path, out: Path, arguments: Sequence[str], threads: int) -> Job:
    """The process of a contender, which writes to ``out/name``. Raises ValueError if its environment is missing."""
    python = Path(sys.executable)
    if contender.environment:
        python = environments.resolve() / contender.environment / "bin" / "python"
        if not python.exists():
            raise ValueError(f"{name} has no environment in {environments}; make it with --prepare {environments}")
    folder = out.resolve() / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.json"), *folder.glob("*.npz")]:
        old.unlink()
    options = [part for key, value in contender.options.items() for part in ("--set", f"{key}={value}")]
    command = [str(python), str(PEERS / contender.script), *arguments, "--out", str(folder), *options]
    environment = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return Job(name, command, folder / "log.txt", environment | {"PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": ""})
