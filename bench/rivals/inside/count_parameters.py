"""Print how many parameters a PyTorch checkpoint has; tensors that share their memory count once.

    python count_parameters.py CHECKPOINT [KEY]

KEY is the entry of the checkpoint that holds the state; buffers (running statistics) do not count.
"""

import sys

import torch

state = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
if len(sys.argv) > 2:
    state = state[sys.argv[2]]
buffers = ("running_mean", "running_var", "num_batches_tracked")
found = {(value.data_ptr(), value.shape): value.numel() for name, value in state.items() if not name.endswith(buffers)}
print(sum(found.values()))
