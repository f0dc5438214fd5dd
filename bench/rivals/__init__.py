"""The field's own tools beside ours, at equal cost; `python -m rivals --help` (with PYTHONPATH=python:bench)."""
