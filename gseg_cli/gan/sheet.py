"""A sheet of samples to choose from, each with its seed."""

from PIL import Image, ImageDraw

from gseg_cli.gan.sample_set import SampleSet
from gseg_runtime.files import atomic_path

FILE = "sheet.jpg"
CELL, MIN_CELL, COLUMNS, MAX_SAMPLES, GAP = 256, 128, 8, 64, 4  # sizes in pixels


def write_sheet(samples: SampleSet) -> None:
    """Write sheet.jpg beside the images: the first 64 of them, in the order of their seeds."""
    seeds = samples.seeds[:MAX_SAMPLES]
    enlarged = samples.resolution * max(1, -(-MIN_CELL // samples.resolution))  # 64 pixels are hard to choose by
    cell = min(CELL, enlarged)
    line = max(10, cell // 12)  # height of a caption
    width, height = cell + GAP, cell + line + GAP
    sheet = Image.new("RGB", (min(len(seeds), COLUMNS) * width, -(-len(seeds) // COLUMNS) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for i, seed in enumerate(seeds):
        x, y = i % COLUMNS * width, i // COLUMNS * height
        with Image.open(samples.image_path(seed)) as image:
            sheet.paste(image.resize((cell, cell), Image.Resampling.LANCZOS, reducing_gap=2), (x, y))
        draw.text((x + cell / 2, y + cell + line / 2), str(seed), "black", anchor="mm", font_size=line)
    with atomic_path(samples.dir / FILE) as temporary:
        sheet.save(temporary, format="JPEG", quality=90)
