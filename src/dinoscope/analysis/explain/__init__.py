"""What a map is made of, and what makes two images similar."""

from dinoscope.analysis.explain.explanation import Explanation, explain
from dinoscope.analysis.explain.properties import PROPERTIES, image_properties

__all__ = ["PROPERTIES", "Explanation", "explain", "image_properties"]
