"""The statement with each case: expected Dice, bounds and a flag."""
