"""A page of sections by processor: a run replaces its own section and leaves the others."""

from pathlib import Path

from benchmarks.by_processor import write_page
from gseg_cli.evaluate.result_cache import hardware


def test_a_run_replaces_its_own_section_and_the_head_and_no_other(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    other = "Made elsewhere.\n\n| a |\n|---|\n| 1 |\n"
    page.write_text(f"# Old head\n\n## another machine\n\n{other}\n## {hardware()}\n\nStale.\n")
    written = write_page(page, "# Head\n", "\nFresh.\n\n| b |\n")
    assert page.read_text() == written
    sections = sorted([("another machine", other), (hardware(), "Fresh.\n\n| b |\n")])
    assert written == "# Head\n\n" + "\n".join(f"## {name}\n\n{text}" for name, text in sections)


def test_the_first_run_begins_the_page(tmp_path: Path) -> None:
    assert write_page(tmp_path / "page.md", "# Head", "Text.") == f"# Head\n\n## {hardware()}\n\nText.\n"
