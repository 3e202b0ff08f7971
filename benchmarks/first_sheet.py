"""How long the first samples of a large GAN take: `gseg sample` on a 1024-px config-f StyleGAN2.

    python -m benchmarks.first_sheet [--gan FILE]

Without FILE a checkpoint of that shape is made, with random weights; time and memory do not depend on them.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.cells import ROOT, made
from gseg_cli.gan.load import make_networks, save_gan
from gseg_cli.gan.networks.config import StyleGAN2Config

PAGE = ROOT / "first_sheet.md"
CONFIG_F = StyleGAN2Config(
    img_resolution=1024, z_dim=512, w_dim=512, mapping_layers=8, channel_base=32768, channel_max=512
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gan", type=Path, metavar="FILE")
    given = parser.parse_args().gan
    with tempfile.TemporaryDirectory() as folder:
        gan = given or Path(folder) / "config-f.safetensors"
        if given is None:
            save_gan(gan, *make_networks("stylegan2", CONFIG_F), {})
        load = os.getloadavg()[0]
        start_s = time.monotonic()
        args = [sys.executable, "-m", "gseg_cli", "sample", "--gan", str(gan), "-o", f"{folder}/out", "--device", "cpu"]
        subprocess.run(args, check=True)
        wall_s = time.monotonic() - start_s
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    about = made()
    text = f"""# The first sheet of a large GAN

`gseg sample` without further options on a config-f StyleGAN2 of 1024 px ({gan.suffix}, random weights): 16 images,
their latents and the sheet, from the start of the process to its end. Wanted: a minute and 4 GB on 2 cores.

| wall seconds | CPU seconds | peak memory, GB | other processes wanting a core |
|---:|---:|---:|---:|
| {wall_s:.0f} | {used.ru_utime + used.ru_stime:.0f} | {used.ru_maxrss / 1e6:.2f} | {load:.1f} |

The last column is the load average of the machine before the start; where it is above the number of cores, much of the
wall time was spent waiting. The CPU seconds over the number of cores are the least that an idle machine needs.

Made by `python -m benchmarks.first_sheet`, commit {about["commit"]}, {about["date"]}, {about["hardware"]}.
"""
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
