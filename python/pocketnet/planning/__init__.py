"""From a dataset's fingerprint and a recipe to a plan and its folds."""
