"""What to look at before a collection is used: findings, copies, answers about pairs."""

__all__: list[str] = []
