"""Official weights: found on this machine, fetched from a hub, packed for a machine without a network."""

from dinoscope.models.hub.download import fetch_weights
from dinoscope.models.hub.local import COMMIT, find_weights, is_offline, require_weights

__all__ = ["COMMIT", "fetch_weights", "find_weights", "is_offline", "require_weights"]
