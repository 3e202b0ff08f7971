"""What holds for a file as a whole: limits, and what was met that is not read."""

from dataclasses import dataclass, field

MAX_UNREAD = 100  # names that are kept to be told of


@dataclass
class Allowance:
    """What is left of the limits, pickles inside pickles included.

    NVIDIA's snapshot of a config-f StyleGAN2 at 1024 px (G, D and G_ema) takes 63,000 instructions and 0.1 MB of text.
    """

    nested_bytes: int  # of pickles inside pickles; at first the size of the file
    tensor_bytes: int  # of tensors that are copied out of the file; at first its size
    instructions: int = 500_000
    text_bytes: int = 16 * 2**20
    unread: dict[str, None] = field(default_factory=dict)  # names outside the list of known.py, as they may be printed

    def note_unread(self, name: str) -> None:
        if len(self.unread) < MAX_UNREAD:
            self.unread[name] = None
