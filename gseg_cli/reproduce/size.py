"""How much is done for the tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gseg_cli.choices import TeacherModel
from gseg_cli.distill.config import DistillConfig, PairsConfig
from gseg_cli.fewshot.config import STEPS, FewshotConfig
from gseg_cli.gan.inversion.config import InvertConfig


@dataclass(frozen=True, kw_only=True)
class Size:
    """draws: repetitions, each with other annotations, other labels and another seed; the first is `first_draw`.

    num_photos: that networks are scored on, the same ones in every table; None for all. num_samples: generated ones for
    teachers, where somebody can label them. num_viewed: photos in each view of the geometry table.
    """

    draws: int = 3
    first_draw: int = 0
    num_photos: int | None = 200
    num_samples: int = 200
    num_viewed: int = 40
    shots: tuple[int, ...] = (1, 5, 10)
    labels: tuple[int, ...] = (1, 5, 10, 50, 100, 500, 2000)
    models: tuple[TeacherModel, ...] = ("mlp", "cnn-s", "cnn-l")
    max_steps: int = 600  # of any network
    pairs: PairsConfig = field(default_factory=PairsConfig)
    student: Mapping[str, object] = field(default_factory=dict)  # what is not DistillConfig's default
    invert_steps: int = InvertConfig.steps

    @property
    def numbers(self) -> range:
        """The numbers of the draws, which are also their seeds."""
        return range(self.first_draw, self.first_draw + self.draws)

    def fewshot(self, model: TeacherModel, draw: int) -> FewshotConfig:
        return FewshotConfig(model=model, steps=min(STEPS[model], self.max_steps), seed=draw)

    def distill(self, draw: int) -> DistillConfig:
        """Of students and supervised networks alike."""
        steps = min(DistillConfig.steps, self.max_steps)
        return DistillConfig(steps=steps, seed=draw, **self.student)  # type: ignore[arg-type]

    def invert(self) -> InvertConfig:
        return InvertConfig(steps=self.invert_steps)


FULL = Size()
QUICK = Size(
    draws=1,
    num_photos=24,
    num_samples=48,
    num_viewed=8,
    shots=(1, 10),
    labels=(1, 10, 100),
    models=("mlp", "cnn-s"),
    max_steps=120,
    pairs=PairsConfig(count=400),
    invert_steps=60,
)
