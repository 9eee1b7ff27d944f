"""The sections of the report, each a piece of HTML that stands by itself."""

__all__: list[str] = []
