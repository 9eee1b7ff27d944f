"""Whether a collection is whole, and what made it."""
