"""What an export wrote, and how it was proved."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Proof:
    """judge: whose labels are right; num_verified, verified_on: the pictures that were labelled; counted: as text."""

    judge: str
    num_verified: int
    verified_on: str
    counted: str


@dataclass(frozen=True, kw_only=True)
class Exported:
    """label_agreement: share of equal pixels, of the model card. triton: the repository it was added to; web: the
    folder of the page that runs it.

    proof: None where nothing was converted, or where there is no GPU to run an engine on (is_verified is False then).
    """

    model: Path
    sha256: str
    bytes: int
    input_size: int
    classes: list[str]
    precision: str
    outputs: list[str]
    label_agreement: float | None
    triton: Path | None
    web: Path | None = None
    is_verified: bool | None = None
    proof: Proof | None = None

    def to_json(self) -> dict[str, Any]:
        """Without what does not apply."""
        apart = ("web", "is_verified", "proof")
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in apart}
        web = {} if self.web is None else {"web": self.web}
        verified = {} if self.is_verified is None else {"verified": self.is_verified}
        proof = asdict(self.proof) if self.proof else {}
        proof.pop("counted", None)
        return {**facts, **web, **verified, **proof}
