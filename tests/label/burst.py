"""Paints as fast as it can and says what was saved, until it is killed: python -m tests.label.burst PROJECT."""

import sys
from pathlib import Path

import numpy as np

from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.label.gan_samples import GanSamples
from gseg_cli.label.journal import Rectangle
from gseg_cli.label.store import LabelStore
from gseg_cli.project import Project

project = Project.open(Path(sys.argv[1]))
samples = SampleSet.load(project.samples_dir)
subject = GanSamples(project.gan_path, load_generator(project.gan_path), samples)
store, random = LabelStore(project, subject), np.random.default_rng(0)
while True:
    seed = int(random.choice(samples.seeds))
    state = store.state(seed)
    if state.can_undo and random.random() < 0.3:
        store.undo(seed, state.rev)
    else:
        x, y = random.integers(0, 12, 2).tolist()
        store.draw(seed, state.rev, Rectangle(x, y, 4, 4), random.integers(0, 3, (4, 4), np.uint8))
    print(seed, store.state(seed).rev, store.labels(seed).tobytes().hex(), flush=True)
