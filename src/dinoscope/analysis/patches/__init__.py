"""What a model sees patch by patch: colours, foreground, parts, and patches that match between two images."""

from dinoscope.analysis.patches.colours import ColourBasis, fit_basis, patch_colours
from dinoscope.analysis.patches.foreground import Foreground, find_foreground
from dinoscope.analysis.patches.matches import PatchMatches, match_patches, similar_patches, token_similarities
from dinoscope.analysis.patches.parts import Parts, find_parts, nearest_part
from dinoscope.analysis.patches.tokens import Tokens, unit_tokens

__all__ = [
    "ColourBasis",
    "Foreground",
    "Parts",
    "PatchMatches",
    "Tokens",
    "find_foreground",
    "find_parts",
    "fit_basis",
    "match_patches",
    "nearest_part",
    "patch_colours",
    "similar_patches",
    "token_similarities",
    "unit_tokens",
]
