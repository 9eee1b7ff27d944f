"""Tables that list images or hold them."""

__all__: list[str] = []
