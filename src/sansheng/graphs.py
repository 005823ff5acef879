"""A step recorded once and repeated as a whole: on a GPU a small network waits for the processor at every operation.

A CUDA graph (Ng 2021, "Accelerating PyTorch with CUDA Graphs") starts them all at once. The one constraint: a recorded
step is the step as it is taken otherwise, noise and all; what cannot be recorded, because a choice in it hangs on a
tensor, goes on as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sansheng.model import Batch, Progress

Take = Callable[[Batch, Mapping[str, Progress], torch.Generator], dict[str, Tensor]]
"""(batch, how far each turn that is taken has come, generator) -> what to log, each ``()``: one step of training."""
WARM = 3
"""Steps of a kind before one is recorded: optimisers and kernels make what they keep in the first."""


class Recorded:
    """Takes steps as `take` does, on a CUDA device. Steps of the same turns and shapes are of one kind."""

    def __init__(self, take: Take, device: torch.device) -> None:
        self._take, self._device = take, device
        self._stream, self._generator = torch.cuda.Stream(device), torch.Generator(device)
        self._taken: Counter[object] = Counter()
        self._recordings: dict[object, _Recording | None] = {}
        self.refused: list[str] = []
        """Why kinds of steps could not be recorded."""

    def __call__(self, batch: Batch, going: Mapping[str, Progress], generator: torch.Generator) -> dict[str, Tensor]:
        kind = (*going, batch.x.shape, None if batch.condition is None else batch.condition.shape)
        self._taken[kind] += 1
        if self._taken[kind] == WARM + 1:
            self._recordings[kind] = self._record(batch, going)
        recording = self._recordings.get(kind)
        if recording is None:
            return self._plainly(batch, going, generator)
        self._generator.manual_seed(generator.initial_seed())
        return recording.repeat(batch, going)

    def _plainly(self, batch: Batch, going: Mapping[str, Progress], generator: torch.Generator) -> dict[str, Tensor]:
        """On the stream that steps are recorded on, which must not wait for another while they are."""
        current = torch.cuda.current_stream(self._device)
        progress = {name: torch.full((), float(share), device=self._device) for name, share in going.items()}
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            values = self._take(batch, progress, generator)
        current.wait_stream(self._stream)
        return values

    def _record(self, batch: Batch, going: Mapping[str, Progress]) -> _Recording | None:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        batch = Batch(batch.x.clone(), None if batch.condition is None else batch.condition.clone())
        progress = {name: torch.zeros((), device=self._device) for name in going}
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                values = self._take(batch, progress, self._generator)
                logged = torch.stack([value.float() for value in values.values()])
        except RuntimeError as error:
            self.refused.append(f"{', '.join(going)}: {error}")
            return None
        return _Recording(graph, batch, progress, tuple(values), logged)


@dataclass(frozen=True, eq=False)
class _Recording:
    """A graph, and where in the device's memory it reads and writes."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    progress: dict[str, Tensor]
    names: tuple[str, ...]
    logged: Tensor

    def repeat(self, batch: Batch, going: Mapping[str, Progress]) -> dict[str, Tensor]:
        self.batch.x.copy_(batch.x)
        if self.batch.condition is not None and batch.condition is not None:
            self.batch.condition.copy_(batch.condition)
        for name, share in going.items():
            self.progress[name].fill_(share)
        self.graph.replay()
        return dict(zip(self.names, self.logged.clone().unbind(), strict=True))
