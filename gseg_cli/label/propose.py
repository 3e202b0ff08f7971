"""What to label next: a class that nobody has labelled yet, then a sample without labels, then doubt. No PyTorch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Standing:
    """Of a sample. labelled: its share of labelled pixels; doubt: None where nothing was predicted yet."""

    seed: int
    labelled: float
    doubt: float | None


def propose(samples: Sequence[Standing], missing: Mapping[int, str], noun: str = "sample") -> dict[str, Any]:
    """{seed, why, class?}. samples: at least one; missing: the names of classes without any label, by index."""
    best = max(samples, key=_need)
    if missing:
        index, name = next(iter(missing.items()))
        return {
            "seed": best.seed,
            "why": f"{name} is labelled nowhere yet: show it here, if it is there",
            "class": index,
        }
    if best.doubt is None:
        return {"seed": best.seed, "why": "nothing is predicted here yet"}
    if not best.labelled:
        return {"seed": best.seed, "why": f"of the {noun}s without labels, the teacher doubts this one most"}
    return {"seed": best.seed, "why": f"every {noun} has labels; the teacher doubts this one most"}


def _need(sample: Standing) -> tuple[bool, float, int]:
    return not sample.labelled, sample.doubt or 0.0, -sample.seed
