"""Tar and zip archives, read where they lie."""
