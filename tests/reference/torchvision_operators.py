"""Lets timm be imported beside a torch without CUDA; import it before timm and transformers.

timm imports torchvision, whose compiled part asks for CUDA's libraries. Without that part its import still works, if
the operators that it describes to torch exist. None of them is ever called here, so empty ones do.
"""

import torch

_OPERATORS = ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")

# Kept for as long as the process lives: the operators go with it.
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in _OPERATORS:
    _LIBRARY.define(f"{_name}(Tensor x) -> Tensor")
