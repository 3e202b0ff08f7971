"""What the pixel representation costs: layer by layer, and as the plain concatenation.

    python -m benchmarks.representation [--rounds 3] [--small]

Every measurement is a process of its own, the two forms in turns, so that its peak memory is its own. --small tries
the page on a GAN of 64 px. Writes representation.md.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from benchmarks.cells import ROOT, made
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.features import ProjectedFeatures
from gseg_cli.fewshot.model import Head, MLPHead, Teacher, TeacherConfig
from gseg_cli.fewshot.predict import predict
from gseg_cli.fewshot.train import _image_loss, _pixel_loss
from gseg_cli.gan.generator import FeatureStack
from gseg_cli.gan.networks.config import StyleGAN2Config
from gseg_cli.gan.networks.stylegan2 import StyleGAN2
from gseg_runtime.files import write_text

NUM_CLASSES = 10
FORMS = ("plain", "gseg")
# What is measured, of a config-f generator of so many pixels, on label maps of so many, with so many hidden channels.
ROWS = (
    ("first layer", 512, 512, 64),
    ("first layer", 1024, 512, 128),
    ("whole prediction, mlp", 512, 512, 128),
    ("whole prediction, mlp", 1024, 512, 128),
    ("training step, mlp", 512, 512, 128),
    ("training step, cnn-l", 512, 512, 128),
)


def config_f(resolution: int) -> StyleGAN2Config:
    return StyleGAN2Config(
        img_resolution=resolution, z_dim=512, w_dim=512, mapping_layers=8, channel_base=32768, channel_max=512
    )


def concatenation(stack: FeatureStack, size: int) -> Tensor:
    """Hypercolumns [N, sum C, size, size], as the paper builds them."""
    maps = []
    for x in stack.maps:
        how = {"mode": "area"} if x.shape[-1] > size else {"mode": "bilinear", "align_corners": False}
        maps.append(F.interpolate(x, size=(size, size), **how))  # type: ignore[arg-type]
    return torch.cat(maps, dim=1)


def first_layer(features: ProjectedFeatures, stack: FeatureStack, size: int) -> Tensor:
    weight, bias = features.folded()
    return F.conv2d(concatenation(stack, size), weight[:, :, None, None], bias)


def random_stack(config: StyleGAN2Config, *, plain: bool) -> FeatureStack:
    """Activations of one image, in the memory order that each side's generator gives them."""
    order = torch.contiguous_format if plain else torch.channels_last
    maps = [torch.empty(1, c, r, r, memory_format=order).normal_() for c, r in config.feature_layers]
    return FeatureStack(tuple(maps))


def make_task(what: str, form: str, resolution: int, size: int, hidden: int) -> Callable[[], Any]:
    """The work to be measured, with everything it needs made before."""
    config, plain = config_f(resolution), form == "plain"
    if what == "first layer":
        features = ProjectedFeatures(tuple(c for c, _ in config.feature_layers), hidden).requires_grad_(False)
        stack = random_stack(config, plain=plain)
        return lambda: first_layer(features, stack, size) if plain else features(stack, size)
    model = what.split(", ")[1]
    channels = tuple(c for c, _ in config.feature_layers)
    teacher = Teacher(TeacherConfig(model=model, channels=channels, num_classes=NUM_CLASSES, size=size))
    if what.startswith("training step"):
        return training_step(teacher.heads[0], random_stack(config, plain=plain), size, plain=plain)  # type: ignore[arg-type]
    generator = StyleGAN2(config).eval().requires_grad_(False)
    teacher.eval().requires_grad_(False)
    ws = generator.mapping(torch.randn(1, config.z_dim))
    return lambda: plain_prediction(generator, teacher, ws, size) if plain else predict(generator, teacher, ws)


def plain_prediction(generator: StyleGAN2, teacher: Teacher, ws: Tensor, size: int) -> Tensor:
    head: Head = teacher.heads[0]  # type: ignore[assignment]
    _, stack = generator.features(ws)
    return head.rest(first_layer(head.features, stack, size)).softmax(dim=1)


def training_step(head: Head, stack: FeatureStack, size: int, *, plain: bool) -> Callable[[], None]:
    """One annotated image, all of it labelled; Adam included. The plain form sees the whole map, as published."""
    labels = torch.randint(NUM_CLASSES, (1, size, size))
    optimizer = torch.optim.Adam(head.parameters())
    config = FewshotConfig().resolved(1, size)
    if plain:
        loss_of = lambda: F.cross_entropy(head.rest(first_layer(head.features, stack, size)), labels)  # noqa: E731
    elif isinstance(head, MLPHead):
        loss_of = _pixel_loss(head, stack, labels, config)
    else:
        loss_of = _image_loss(head, stack, labels, config)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_of().backward()
        optimizer.step()

    return step


def worker(args: list[str]) -> None:
    """Measure one thing once, after a first run that is not counted where it is cheap; prints JSON."""
    what, form, resolution, size, hidden = args
    torch.manual_seed(0)
    with torch.set_grad_enabled(what.startswith("training")):
        task = make_task(what, form, int(resolution), int(size), int(hidden))
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        task()
        figures = {"wall_s": time.perf_counter() - wall_s, "cpu_s": time.process_time() - cpu_s}
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({**figures, "peak_gb": peak_gb}))


def measure(row: tuple[str, int, int, int], rounds: int) -> dict[str, dict[str, float]]:
    """The median of each form's figures, the forms in turns."""
    runs: dict[str, list[dict[str, float]]] = {form: [] for form in FORMS}
    for _ in range(rounds):
        for form in FORMS:
            what, *numbers = row
            args = [sys.executable, "-m", "benchmarks.representation", "--worker", what, form, *map(str, numbers)]
            done = subprocess.run(args, check=True, capture_output=True, text=True, cwd=ROOT.parent)
            runs[form].append(json.loads(done.stdout))
            print(row, form, runs[form][-1], file=sys.stderr, flush=True)
    return {form: {key: median(run[key] for run in many) for key in many[0]} for form, many in runs.items()}


TEXT = """# What the pixel representation costs

One image of a config-f StyleGAN2 with random weights, float32. *Plain* is the concatenation of all layers, upsampled to
the label map, as the paper has it; *gseg* projects each layer at its own size (`gseg_cli/fewshot/features.py`). *First
layer*: activations given, its output wanted. *Whole prediction*: from w to probabilities, the generator included.
*Training step*: activations given, one labelled image, loss, gradients and Adam; the plain form sees the whole map, and
so does gseg's CNN, while its MLP draws 4,096 labelled pixels. Memory is the peak of a whole process, PyTorch included.

Made by `python -m benchmarks.representation --rounds {rounds}`, each figure the median of {rounds} processes, both
forms in turns; commit {commit}, {date}, {hardware}.

| what | GAN, px | labels, px | hidden | plain, s | gseg, s | times less | CPU time | plain, GB | gseg, GB | less |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
{table}
"""


def line(row: tuple[str, int, int, int], figures: dict[str, dict[str, float]]) -> str:
    plain, gseg = (figures[form] for form in FORMS)
    ratio = {key: plain[key] / gseg[key] for key in plain}
    what, resolution, size, hidden = row
    seconds = f"{plain['wall_s']:.2f} | {gseg['wall_s']:.2f} | {ratio['wall_s']:.1f} | {ratio['cpu_s']:.1f}"
    memory = f"{plain['peak_gb']:.2f} | {gseg['peak_gb']:.2f} | {ratio['peak_gb']:.1f}"
    return f"| {what} | {resolution} | {size} | {hidden} | {seconds} | {memory} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--worker", nargs=5)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker)
        return
    rows = [(what, 64, 64, hidden) for what, _, _, hidden in ROWS] if args.small else ROWS
    table = "\n".join(line(row, measure(row, args.rounds)) for row in rows)
    text = TEXT.format(rounds=args.rounds, table=table, **made())
    if not args.small:
        write_text(ROOT / "representation.md", text)
    print(text)


if __name__ == "__main__":
    main()
