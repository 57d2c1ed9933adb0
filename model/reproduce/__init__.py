"""The paper's tables as matrices of runs: what to train, what to measure, ours beside the paper's."""
