from gseg_cli.progress import format_step
from gseg_cli.steps import Step


def test_the_time_left_is_what_the_work_needs_or_what_it_may_take_if_that_is_less() -> None:
    assert format_step(Step(640, 2_000_000, most_s=72.4), "images", 20.0) == (
        "640/2000000 images, 20 images/s, 1:12 left"
    )
    assert format_step(Step(50, 100, most_s=72.4), "images", 10.0).endswith("0:05 left")
    assert format_step(Step(50, 100, most_s=-0.1), "images", 10.0).endswith("0:00 left")
