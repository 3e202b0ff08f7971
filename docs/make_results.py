"""Put tables into results.md: `python docs/make_results.py [FOLDER]`, the folder of a run of `gseg reproduce`.

The page has two marked parts: what others report, rewritten every time, and the tables of the run, which stay as they
are without FOLDER.
"""

import re
import shutil
import sys
from pathlib import Path

from gseg_cli.reproduce.published import CAR, FACE, HORSE, HORSE_TABLE_6
from gseg_cli.reproduce.tables import TABLES

PAGE = Path(__file__).with_name("results.md")
PUBLISHED = {
    "CelebAMask-HQ, ten classes": FACE,
    "PASCAL-Part, cars": CAR,
    "PASCAL-Part, horses": HORSE,
    "PASCAL-Part, horses, against methods with more labels": HORSE_TABLE_6,
}


def published() -> str:
    return "\n\n".join(f"### {title}\n\n{figures.text()}" for title, figures in PUBLISHED.items())


def as_run(folder: Path, docs: Path) -> str:
    """The tables in `folder`, as Markdown; copies their pictures into `docs`."""
    texts = [path.read_text(encoding="utf-8") for name in TABLES if (path := folder / f"{name}.md").is_file()]
    if not texts and any(folder.glob("*-quick.md")):
        raise SystemExit(f"{folder}: holds tables of --quick alone, which show nothing of quality; run it without")
    if not texts:
        raise SystemExit(f"{folder}: holds no table; gseg reproduce all -o {folder} writes them")
    text = "\n".join(text.replace("## ", "### ", 1) for text in texts)
    for picture in re.findall(r"\]\((\w+\.png)\)", text):
        shutil.copyfile(folder / picture, docs / f"results-{picture}")
    return "## As run\n\n" + re.sub(r"\]\((\w+\.png)\)", r"](results-\1)", text).strip()


def insert(page: str, name: str, text: str) -> str:
    """The page with the text between the marks of this name."""
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    head, _, rest = page.partition(start)
    return f"{head}{start}\n\n{text}\n\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    page = insert(PAGE.read_text(encoding="utf-8"), "published", published())
    if len(sys.argv) > 1:
        page = insert(page, "run", as_run(Path(sys.argv[1]), PAGE.parent))
    PAGE.write_text(page, encoding="utf-8")
