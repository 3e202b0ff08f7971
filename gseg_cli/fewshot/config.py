"""How a teacher is taught. Needs no PyTorch."""

from dataclasses import asdict, dataclass

from gseg_cli.choices import Features, Schedule, TeacherModel, check_choices

PAPER_EPOCHS = 1000
STEPS = {"mlp": 400, "cnn-s": 800, "cnn-m": 800, "cnn-l": 800}  # of the short schedule


@dataclass(frozen=True, kw_only=True)
class FewshotConfig:
    """ConfigError for a word that is not one of the choices. Why these defaults: benchmarks/teachers.md, balance.md.

    short: STEPS of a one-cycle schedule, which needs far fewer than a constant rate. paper: the published code's
    1,000 epochs of single images, Adam at 1e-3, times 0.9 every 50 epochs; it overrules steps, batch, pixels, lr
    and balance.
    """

    model: TeacherModel = "mlp"
    features: Features = "all"
    schedule: Schedule = "short"
    steps: int | None = None  # per network; None: as STEPS has it
    batch: int = 1  # annotated images per step, of a CNN; four in a quarter of the steps teach less
    pixels: int = 4096  # per step, of the MLP
    balance: float = 0.25  # those of small classes are drawn more often: see `draw_pixels`; 0: as often as all others
    lr: float = 2e-3  # the peak
    weight_decay: float = 1e-3
    num_heads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_choices(self)

    def resolved(self, num_images: int, size: int) -> "ResolvedConfig":
        """With the schedule's own numbers, for so many label maps of size x size pixels."""
        given = asdict(self)
        if self.schedule == "paper":
            given |= {"steps": PAPER_EPOCHS * num_images, "batch": 1, "pixels": size * size, "lr": 1e-3, "balance": 0.0}
        return ResolvedConfig(**{**given, "steps": given["steps"] or STEPS[self.model]})


@dataclass(frozen=True, kw_only=True)
class ResolvedConfig(FewshotConfig):
    steps: int
