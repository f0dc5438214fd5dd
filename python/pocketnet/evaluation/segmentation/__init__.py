"""Evaluation of segmentations."""
