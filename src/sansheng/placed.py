"""Constants where the data are, moved once: a copy from a processor to a GPU waits until all before it is done.

The one constraint: a constant is never changed in place.
"""

from __future__ import annotations

import torch
from torch import Tensor


def placed(constant: Tensor, device: torch.device) -> Tensor:
    """`constant` on `device`; the copy is kept as long as the constant is, and is the same tensor the next time."""
    if constant.device == device:
        return constant
    copies: dict[torch.device, Tensor] = vars(constant).setdefault("placed", {})
    if device not in copies:
        copies[device] = constant.to(device)
    return copies[device]
