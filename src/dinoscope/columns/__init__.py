"""Columns: what is known about each image beside its label, of five kinds, and conditions on them."""

from dinoscope.columns.conditions import Condition, parse_condition
from dinoscope.columns.kinds import Column, Kind

__all__ = ["Column", "Condition", "Kind", "parse_condition"]
