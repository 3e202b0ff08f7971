"""The time of a training of many processes."""

from dataclasses import dataclass, field

from gseg_cli.world import World

ASK_STEPS = 20


@dataclass
class Clock:
    """The first process's, for all: the learning rate follows it, and other rates would part the processes' weights.

    Asking for it makes every process wait, so it is asked after 1, 2, 4, 8, 16 and 32 steps and then after every
    ASK_STEPS. In between, a step counts as long as those before.
    """

    world: World
    first_step: int  # of this call
    asked: int = field(init=False)  # at which step, and the answer
    said_s: float = field(init=False)
    last_s: float = 0.0
    pace_s: float = 0.0  # of a step

    def __post_init__(self) -> None:
        self.asked, self.said_s = self.first_step, -1.0

    def seconds(self, num_steps: int, elapsed_s: float) -> float:
        """How long the training has taken; it never goes back. elapsed_s: what this process says."""
        if self.world.size == 1:
            return elapsed_s
        since = num_steps - self.asked
        if self.said_s < 0 or since >= min(ASK_STEPS, max(1, self.asked - self.first_step)):
            before_s, self.said_s = self.said_s, self.world.agree(elapsed_s)
            self.pace_s = (self.said_s - before_s) / since if since else 0.0
            self.asked, since = num_steps, 0
        self.last_s = max(self.last_s, self.said_s + since * self.pace_s)
        return self.last_s
