"""What Prometheus is told. Each server has a registry of its own, so that several may run in one process."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
_CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 1)


class Metrics:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._in_hand = Gauge("gseg_requests_in_hand", "Requests that are being answered.", registry=self._registry)
        self._answers = Counter(
            "gseg_answers", "Answers to POST /segment, by HTTP status.", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "gseg_answer_seconds", "Time from a request's headers to its answer.",
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._batches = Histogram(
            "gseg_batch_photos", "Photos that went through the engine together.",
            buckets=_BATCHES, registry=self._registry,
        )  # fmt: skip
        self._confidences = Histogram(
            "gseg_photo_confidence", "Mean confidence of the model in a photo's mask.",
            buckets=_CONFIDENCES, registry=self._registry,
        )  # fmt: skip

    def watch(self, in_hand: Callable[[], int]) -> None:
        """in_hand: asked for the requests in hand whenever Prometheus asks."""
        self._in_hand.set_function(in_hand)

    def answered(self, status: int, seconds: float) -> None:
        self._answers.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def batch(self, count: int) -> None:
        self._batches.observe(count)

    def photo(self, confidence: float) -> None:
        self._confidences.observe(confidence)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
