"""Which few of many images to label or to keep, and how much better that is than chance."""

from dinoscope.analysis.picking.curve import Picking, PickingCurve, picking_curve
from dinoscope.analysis.picking.greedy import pick_balanced, pick_farthest, pick_typical, pick_uncertain

__all__ = [
    "Picking",
    "PickingCurve",
    "pick_balanced",
    "pick_farthest",
    "pick_typical",
    "pick_uncertain",
    "picking_curve",
]
