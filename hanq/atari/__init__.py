"""Seaquest, the paper's Atari experiment (section 4.1 and Table 5): frames, network, training."""
