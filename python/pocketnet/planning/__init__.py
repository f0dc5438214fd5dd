"""Derive a plan and its folds from a dataset's fingerprint and a recipe."""
