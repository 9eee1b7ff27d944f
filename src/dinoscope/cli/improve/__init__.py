"""Commands that clean a collection and name images."""
