"""sansheng: VAE, GAN, diffusion and flow models on your own data, compared fairly.

The one constraint: importing this imports nothing else; each public name is loaded when it is first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sansheng.compare import Comparison, compare
    from sansheng.data import Data, open_data
    from sansheng.errors import DataError
    from sansheng.events import Event
    from sansheng.run import Run, load, resume, train
    from sansheng.session import Interrupted, TrainingFailed
    from sansheng.space import Category, Real, Space

    __version__: str

__all__ = [
    "Category",
    "Comparison",
    "Data",
    "DataError",
    "Event",
    "Interrupted",
    "Real",
    "Run",
    "Space",
    "TrainingFailed",
    "compare",
    "load",
    "open_data",
    "resume",
    "train",
]

_HOMES = {
    "compare": ("Comparison", "compare"),
    "data": ("Data", "open_data"),
    "errors": ("DataError",),
    "events": ("Event",),
    "run": ("Run", "load", "resume", "train"),
    "session": ("Interrupted", "TrainingFailed"),
    "space": ("Category", "Real", "Space"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("sansheng")
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"sansheng.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'sansheng' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])


class _Package(ModuleType):
    """Importing the module ``sansheng.compare`` must not hide the function ``sansheng.compare``."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
