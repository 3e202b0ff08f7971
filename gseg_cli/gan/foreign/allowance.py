"""The limits that hold for a file as a whole."""

from dataclasses import dataclass


@dataclass
class Allowance:
    """What is left of them, pickles inside pickles included.

    A StyleGAN2 at 1024 px with G, D and G_ema takes about 40,000 instructions and 2 MB of text.
    """

    nested_bytes: int  # of pickles inside pickles; at first the size of the file
    tensor_bytes: int  # of tensors that are copied out of the file; at first its size
    instructions: int = 1_000_000
    text_bytes: int = 64 * 2**20
