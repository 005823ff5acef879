"""Networks away from where they began, so that no layer that begins at zero hides a path."""

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def stirred(network: Network, *, amount: float = 0.1, seed: int = 3) -> Network:
    """The same network, every parameter moved by normal noise of standard deviation `amount`."""
    generator = torch.Generator().manual_seed(seed)
    for p in network.parameters():
        p.add_(amount * torch.randn(p.shape, generator=generator))
    return network
