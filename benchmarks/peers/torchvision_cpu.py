"""Lets torchvision's published wheel, built for CUDA, be imported beside a torch built for the CPU.

Its compiled operators cannot be loaded there, and its import fails on those it describes, ``nms`` and ``qnms``.
Declared here they have a name and no code; the peers call neither (they take ``transforms`` and ``utils``, which are
Python). Import this first.
"""

from __future__ import annotations

import torch

if not torch.cuda.is_available():
    OPERATORS = torch.library.Library("torchvision", "DEF")
    OPERATORS.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    OPERATORS.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
