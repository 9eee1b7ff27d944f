"""Still pictures. Every function returns the bytes of one; nothing here touches pyplot."""

__all__: list[str] = []
