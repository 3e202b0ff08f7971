"""The limits that hold for a file as a whole."""

from dataclasses import dataclass


@dataclass
class Allowance:
    """What is left of them, pickles inside pickles included.

    NVIDIA's snapshot of a config-f StyleGAN2 at 1024 px (G, D and G_ema) takes 63,000 instructions and 0.1 MB of text.
    """

    nested_bytes: int  # of pickles inside pickles; at first the size of the file
    tensor_bytes: int  # of tensors that are copied out of the file; at first its size
    instructions: int = 500_000
    text_bytes: int = 16 * 2**20
