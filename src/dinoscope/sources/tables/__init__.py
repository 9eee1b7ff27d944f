"""Tables that list images or hold them."""
