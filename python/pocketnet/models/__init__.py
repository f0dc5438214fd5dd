"""Networks: width policy, blocks, encoder–decoder and parameter counts."""
