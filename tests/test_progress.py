import pytest

from gseg_cli.progress import format_step, progress
from gseg_cli.steps import Step


def test_the_time_left_is_what_the_work_needs_or_what_it_may_take_if_that_is_less() -> None:
    assert format_step(Step(640, 2_000_000, most_s=72.4), "images", 20.0) == (
        "640/2000000 images, 20 images/s, 1:12 left"
    )
    assert format_step(Step(50, 100, most_s=72.4), "images", 10.0).endswith("0:05 left")
    assert format_step(Step(50, 100, most_s=-0.1), "images", 10.0).endswith("0:00 left")


def test_a_rate_of_thousands_is_written_out() -> None:
    assert [format_step(Step(9, 9), "photos", rate) for rate in (0.1234, 43.94, 999.6, 3613.2)] == [
        f"9/9 photos, {text} photos/s" for text in ("0.123", "43.9", "1,000", "3,613")
    ]


def test_a_last_step_that_is_told_twice_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("invert", "photos") as on_step:
        for step in (Step(1, 2), Step(2, 2, {"distance": 0.5}), Step(2, 2)):
            on_step(step)
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "invert: 1/2 photos",
        "invert: 2/2 photos",
    ]
    with progress("train", "steps") as on_step:
        on_step(Step(2, 2))
        on_step(Step(2, 2, {"loss": 0.5}))
    assert "loss 0.5" in capsys.readouterr().err
