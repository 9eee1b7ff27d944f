"""Tests of columns and of conditions on them."""
