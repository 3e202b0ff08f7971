"""The networks of a GAN in training and their updates: StyleGAN2 (Karras et al. 2020) with ADA.

`projected.py` has another discriminator for its generator.

A step shows the discriminator one batch of reals. The batch is computed in chunks (microbatches) that the processes
share among themselves: chunk i belongs to process i mod their number. Every random number follows from (seed, step,
phase, chunk), and the groups of minibatch standard deviation form within a chunk. So a resumed run takes the very steps
of an uninterrupted one, and many processes take those of one with the same microbatch.
"""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from gseg_cli.gan.load import GanModule, make_networks
from gseg_cli.gan.networks.config import make_config
from gseg_cli.gan.training import loss as losses
from gseg_cli.gan.training.augment import INTERVAL, adjusted, apply_packed, augment, draw_transforms, packed
from gseg_cli.gan.training.auto import pick_dtype, pick_precision
from gseg_cli.gan.training.config import NUM_FP16_RES, GanTrainConfig
from gseg_cli.gan.training.graphs import Compute, CudaGraphs, Feed, Graphs, Outcome
from gseg_cli.gan.training.grow import load_start
from gseg_cli.gan.transparency import draw
from gseg_cli.seeding import seed_step
from gseg_cli.training_state import load_state, state_of
from gseg_cli.world import ALONE, World
from gseg_runtime.errors import ConfigError

Stats = dict[str, Tensor]
REALS, MAIN_D, MAIN_G, REGULARIZE_D, REGULARIZE_G = range(5)  # phases of a step
MAX_RECORDED = 128  # pixels: up to here steps are recorded; above, kernels are large, and a graph keeps their memory


class GanTrainer:
    """Networks, optimisers, the average and the strength of augmentation; `step` takes one step.

    images: uint8 [N, 3, R, R], with alpha [N, 4, R, R], on the CPU, perhaps mapped from a file. classes: int64 [N],
    their classes, of a conditional GAN, whose samples get the classes of random photos. graphs: whether a GPU is given
    the phases of a step as wholes where that is possible, or kernel by kernel; the numbers are the same up to rounding.
    """

    def __init__(
        self,
        config: GanTrainConfig,
        images: Tensor,
        device: torch.device,
        init_from: Path | None = None,
        world: World = ALONE,
        graphs: bool = True,
        classes: Tensor | None = None,
    ) -> None:
        self.config, self.images, self.device, self.world = config, images, device, world
        self.classes = classes
        self.chunk_size = config.microbatch or config.batch
        self.num_chunks = config.batch // self.chunk_size
        self.chunks = range(world.rank, self.num_chunks, world.size)
        check_training(config, len(images), device, world)
        seed_step(config.seed, 0)
        if init_from:
            self.G, self.D = load_start(init_from, images.shape[-1])
        else:
            self.G, self.D = make_networks(config.arch, make_config(config.arch, config.network()))
        for net in (self.G, self.D):
            net.train().requires_grad_(True).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.G.compute_dtype = self.D.compute_dtype = pick_dtype(config.precision, device)  # type: ignore[assignment]
        if config.precision == "fp16" and config.arch == "stylegan2":
            self.G.num_lowp_res = self.D.num_lowp_res = NUM_FP16_RES  # type: ignore[assignment]
        self.G.random_noise = True
        self.opt_G = _adam(self.G, config, config.pl_interval if config.pl_weight else None)
        self.opt_D = _adam(self.D, config, config.r1_interval if config.r1_gamma else None)
        self.pl_mean = torch.zeros([], device=device)
        self.num_steps = 0
        self.is_taught_by_D = True  # or by another discriminator
        self.augment_p = config.augment_p if config.augment == "fixed" else 0.0
        self.signs = torch.zeros([], device=device)  # of D's logits of reals, summed since p was adjusted
        self.rows, self.held_out = split_rows(len(images), config.held_out)
        self.ws: list[Tensor] = []  # the mean of each chunk of one phase
        self.feed = Feed(device)
        self.graphs: Graphs | None = CudaGraphs(device) if graphs and self._can_be_recorded() else None

    @property
    def num_images(self) -> int:
        return self.num_steps * self.config.batch

    def classes_of(self, rows: Tensor) -> Tensor | None:
        """int64 [N]; None where there are none."""
        return None if self.classes is None else self.classes[rows]

    def step(self) -> Stats:
        """One update of D and of G, and the regularisers when they are due; returns losses, not yet synchronised."""
        config = self.config
        self.num_steps += 1
        stats = self._update(MAIN_D)
        self._judges_learn(False)
        stats |= self._update(MAIN_G)
        self._judges_learn(True)
        if config.r1_gamma and self.is_taught_by_D and self.num_steps % config.r1_interval == 0:
            stats |= self._update(REGULARIZE_D)
        if config.pl_weight and self.num_steps % config.pl_interval == 0:
            stats |= self._update(REGULARIZE_G)
            self.pl_mean.copy_(stats["path_length"])
        self._average()
        self._adapt(stats["real_sign"])
        return stats

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return losses.discriminator_loss(real_logits, fake_logits)

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        return losses.generator_loss(fake_logits)

    def _more_to_judge(self, real: Tensor, fake: Tensor) -> Tensor | float:
        """The loss of another discriminator that learns beside, and teaches nothing."""
        return 0.0

    def _judges_learn(self, is_wanted: bool) -> None:
        for group in self.opt_D.param_groups:
            for parameter in group["params"]:
                parameter.requires_grad_(is_wanted)

    def _can_be_recorded(self) -> bool:
        """One graph has one seed, so one chunk; it cannot send messages, nor keep a DCGAN's batch statistics apart."""
        is_whole = self.num_chunks == 1 and self.world.size == 1
        is_small = self.images.shape[-1] <= MAX_RECORDED
        is_usual = (self.config.arch, self.config.discriminator) == ("stylegan2", "stylegan2")
        return self.device.type == "cuda" and is_usual and is_whole and is_small

    def _update(self, phase: int) -> Stats:
        """One step of the phase's optimiser; the mean statistics of all chunks."""
        optimizer = self.opt_D if phase in (MAIN_D, REGULARIZE_D) else self.opt_G
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        outcome = self._run(phase, partial(self._descent, phase, parameters))
        for parameter, gradient in zip(parameters, outcome.gradients, strict=True):
            parameter.grad = gradient  # a graph left it where it always does
        optimizer.step()
        if outcome.w_mean is not None:
            self.G.track(outcome.w_mean)  # type: ignore[operator]  # StyleGAN3 alone has none; it is not trained
        return outcome.stats

    def _run(self, phase: int, compute: Compute) -> Outcome:
        if self.graphs is None:
            return compute(self.feed)
        is_augmented = self.augment_p > 0 and phase != REGULARIZE_G  # which D has no part in
        return self.graphs.run((phase, is_augmented), compute)

    def _descent(self, phase: int, parameters: list[nn.Parameter], feed: Feed) -> Outcome:
        """The gradients of the mean loss of all chunks. Nothing but `grad` changes, and no value is read."""
        loss = {
            MAIN_D: self._discriminator_loss,
            MAIN_G: self._generator_loss,
            REGULARIZE_D: self._r1,
            REGULARIZE_G: self._path_length,
        }[phase]
        for parameter in parameters:
            parameter.grad = None
        self.ws.clear()
        total: Stats = {}
        for chunk in self.chunks:
            value, stats = loss(chunk, feed)
            (value / self.num_chunks).backward()
            for name, figure in stats.items():
                total[name] = total.get(name, 0) + figure.detach().float() / self.num_chunks
        gradients = [p.grad for p in parameters]
        w_mean = torch.stack(self.ws).sum(dim=0) / self.num_chunks if self.ws else None
        known = [gradient for gradient in gradients if gradient is not None]
        self.world.sum([*known, *total.values(), *([w_mean] if w_mean is not None else [])])
        if self.config.precision == "fp16":  # an overflow now and then is part of half precision
            for gradient in known:
                torch.nan_to_num(gradient, nan=0.0, posinf=1e5, neginf=-1e5, out=gradient)
        return Outcome(gradients, total, w_mean)

    def _discriminator_loss(self, chunk: int, feed: Feed) -> tuple[Tensor, Stats]:
        real, real_classes = self._reals(chunk, feed)
        self._seed(MAIN_D, chunk, feed)
        with torch.no_grad():
            ws, classes = self._latents(len(real), feed)
            fake = draw(self.G, ws)
        real_logits, fake_logits = self._judge_both(feed, [real_classes, classes], [real, fake])
        value = self.discriminator_loss(real_logits, fake_logits)
        stats = {"loss_D": value, "real_sign": real_logits.sign().mean()}
        return value + self._more_to_judge(real, fake), stats

    def _generator_loss(self, chunk: int, feed: Feed) -> tuple[Tensor, Stats]:
        self._seed(MAIN_G, chunk, feed)
        ws, classes = self._latents(self.chunk_size, feed)
        value = self.generator_loss(self._judge(feed, classes, draw(self.G, ws)))
        return value, {"loss_G": value}

    def _r1(self, chunk: int, feed: Feed) -> tuple[Tensor, Stats]:
        real, classes = self._reals(chunk, feed)
        self._seed(REGULARIZE_D, chunk, feed)
        penalty = losses.r1_penalty(partial(self._judge, feed, classes), real)
        return penalty * (self.config.r1_gamma / 2 * self.config.r1_interval), {"r1": penalty}

    def _path_length(self, chunk: int, feed: Feed) -> tuple[Tensor, Stats]:
        self._seed(REGULARIZE_G, chunk, feed)
        ws, _ = self._latents(max(self.chunk_size // 2, 1), feed)
        penalty, mean = losses.path_length_penalty(self.G, ws, self.pl_mean)
        return penalty * (self.config.pl_weight * self.config.pl_interval), {"path_length": mean}

    def _judge(self, feed: Feed, classes: Tensor | None, images: Tensor) -> Tensor:
        """D's logits [N, 1] of images as it is shown them, augmented."""
        return self._logits([classes], [self._shown(feed, images)])[0]

    def _judge_both(self, feed: Feed, classes: list[Tensor | None], images: list[Tensor]) -> list[Tensor]:
        """Those of reals and of fakes."""
        return self._logits(classes, [self._shown(feed, one) for one in images])

    def _logits(self, classes: list[Tensor | None], images: list[Tensor]) -> list[Tensor]:
        """Of each batch by itself, as its classes and standard deviations ask; the features before are computed at
        once, which takes less time.
        """
        last = self.D.features(torch.cat(images))[-1]  # type: ignore[operator]
        logits = []
        for features, index in zip(last.split([len(one) for one in images]), classes, strict=True):
            self.D.class_index = index  # type: ignore[assignment]
            logits.append(self.D.judge(features))  # type: ignore[operator]
        return logits

    def _shown(self, feed: Feed, images: Tensor) -> Tensor:
        n, _, _, size = images.shape
        if not feed.has_fixed_shapes:
            return augment(images, self.augment_p)
        if self.augment_p == 0:
            return images
        return apply_packed(images, feed(lambda: packed(draw_transforms(n, self.augment_p), size)))

    def _seed(self, phase: int, chunk: int, feed: Feed) -> None:
        feed.host(lambda: seed_step(self.config.seed, self.num_steps, phase, chunk))

    def _reals(self, chunk: int, feed: Feed) -> tuple[Tensor, Tensor | None]:
        """float32 [N, 3, R, R] in [-1, 1], and their classes, the same whenever a step asks."""
        self._seed(REALS, chunk, feed)
        images = feed(self._draw_reals).float() / 127.5 - 1
        return images, self._classes(feed, lambda: self.drawn)

    def _draw_reals(self) -> Tensor:
        """uint8, on the CPU."""
        self.drawn = self._draw_rows(self.chunk_size)
        real = self.images[self.drawn]
        return torch.where(torch.rand(len(real), 1, 1, 1) < 0.5, real.flip(3), real) if self.config.mirror else real

    def _draw_rows(self, n: int) -> Tensor:
        return self.rows[torch.randint(len(self.rows), [n])]

    def _classes(self, feed: Feed, rows: Callable[[], Tensor]) -> Tensor | None:
        """Of these photos, int64 [N]; None, and nothing drawn, where there are no classes."""
        classes = self.classes
        return None if classes is None else feed(lambda: classes[rows()])

    def _latents(self, n: int, feed: Feed) -> tuple[Tensor, Tensor | None]:
        """ws [N, L, W] and classes, as of `_classes`."""
        z = feed(lambda: torch.randn(2, n, self.G.z_dim))
        self.G.class_index = classes = self._classes(feed, lambda: self._draw_rows(n))
        ws, others = self.G.mapping(z[0]), self.G.mapping(z[1])
        self.ws.append(ws.detach().mean(dim=0, keepdim=True))
        num_ws = ws.shape[1]
        if num_ws < 2:
            return ws, classes
        return losses.mix_styles(ws, others, feed(lambda: losses.draw_kept(num_ws, self.config.style_mixing))), classes

    @torch.no_grad()
    def _average(self) -> None:
        half_life = self.config.ema_kimg * 1000
        if self.config.ema_rampup is not None:
            half_life = min(half_life, self.num_images * self.config.ema_rampup)
        beta = 0.5 ** (self.config.batch / max(half_life, 1e-8))
        torch._foreach_lerp_(list(self.G_ema.parameters()), list(self.G.parameters()), 1 - beta)
        torch._foreach_copy_(list(self.G_ema.buffers()), list(self.G.buffers()))

    def _adapt(self, real_sign: Tensor) -> None:
        if self.config.augment != "ada" or not self.is_taught_by_D:
            return
        self.signs += real_sign
        if self.num_steps % INTERVAL == 0:
            mean_sign = float(self.signs) / INTERVAL  # the one figure a step waits for: the next transforms need p
            num_images, target, ada_kimg = self.config.batch * INTERVAL, self.config.ada_target, self.config.ada_kimg
            self.augment_p = adjusted(self.augment_p, mean_sign, num_images, target=target, ada_kimg=ada_kimg)
            self.signs.zero_()

    # Saving and resuming: everything a step depends on, as flat tensors.
    def state(self) -> dict[str, Tensor]:
        tensors = {
            "pl_mean": self.pl_mean,
            "num_steps": torch.tensor(self.num_steps),
            "augment_p": torch.tensor(self.augment_p, dtype=torch.float64),
            "signs": self.signs,
        }
        return {**tensors, **state_of(self._networks(), self._optimizers())}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """What `state` gave, also before there was augmentation."""
        self.num_steps = int(tensors["num_steps"])
        self.pl_mean.copy_(tensors["pl_mean"])
        if "augment_p" in tensors:
            self.augment_p = float(tensors["augment_p"])
            self.signs.copy_(tensors["signs"])
        load_state(tensors, self._networks(), self._optimizers())

    def _networks(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D, "G_ema": self.G_ema}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"opt_G": self.opt_G, "opt_D": self.opt_D}


def split_rows(num_images: int, held_out: int) -> tuple[Tensor, Tensor]:
    """Which images are trained on and which, evenly spread over all, are not."""
    held = torch.arange(held_out) * num_images // max(held_out, 1)
    kept = torch.ones(num_images, dtype=torch.bool)
    kept[held] = False
    return kept.nonzero()[:, 0], held


def check_training(config: GanTrainConfig, num_images: int, device: torch.device, world: World) -> None:
    """ConfigError for what these images, this device or these processes do not allow."""
    if config.held_out >= num_images:
        message = f"held_out: expected fewer than the {num_images} photos, got {config.held_out}"
        raise ConfigError(message, "leave out --held-out, or give a smaller number")
    pick_precision(config.precision, device)
    num_chunks = config.batch // (config.microbatch or config.batch)
    if world.size > 1 and config.arch == "dcgan":
        raise ConfigError("arch: dcgan trains in one process, because batch normalisation looks at whole batches")
    if world.size > 1 and config.discriminator == "projected":
        message = "discriminator: projected trains in one process, because of its spectral normalisation"
        raise ConfigError(message, "use --discriminator stylegan2 for several")
    if num_chunks % world.size:
        raise ConfigError(
            f"batch {config.batch} in microbatches of {config.microbatch or config.batch} makes {num_chunks} chunks, "
            f"which {world.size} processes cannot share evenly",
            hint=f"choose --microbatch so that batch / microbatch is a multiple of {world.size}",
        )


def _adam(net: GanModule | nn.Module, config: GanTrainConfig, interval: int | None) -> torch.optim.Adam:
    """Lazy regularisation takes an extra step every `interval`; lr and betas are corrected for it (appendix B)."""
    ratio = interval / (interval + 1) if interval else 1.0
    return torch.optim.Adam(net.parameters(), lr=config.lr * ratio, betas=(0.0, 0.99**ratio), eps=1e-8, fused=True)
