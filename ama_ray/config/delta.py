"""`delta`: what is done to the differences between aligned models and base, once, before anything is averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from ama_ray.config.fields import Model
from ama_ray.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["trim", "ties", "dare"]
_TIES_KEEP = 0.2


class Delta(Model):
    """An operator on the differences aligned - base of every searched tensor, applied when the checkpoints are opened.

    `trim` keeps the largest by magnitude. `ties` makes one aligned model of several: it trims each, elects a sign for
    every element, and averages those that have it (arXiv 2306.01708). `dare` keeps some at random and multiplies these
    by 1 / `keep` (arXiv 2311.03099). `delta: ties` alone is `{kind: ties}`, and `{keep: 0.3}` is of kind `trim`. What
    comes of it is aligned everywhere; docs/several.md.
    """

    kind: Kind = Field("trim", description="the operator")
    keep: float | None = Field(
        None, gt=0, le=1, description=f"the share of the elements of each tensor that is kept; of `ties` {_TIES_KEEP}"
    )
    rescale: bool = Field(
        False, description="of `trim`: multiply what is kept so that the magnitudes of a tensor have the sum they had"
    )
    seed: int | None = Field(None, ge=0, lt=2**32, description="of `dare`, which needs one: of what it draws")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Delta:
        if found := list(self._misfits()):
            raise ValueError("\n".join(found))
        return self

    def _misfits(self) -> Iterator[str]:
        if self.keep is None and self.kind != "ties":
            yield f"{self.kind} needs the share that is kept; add one, as keep: 0.3"
        if self.seed is None and self.kind == "dare":
            yield "dare draws at random; add a seed, as seed: 0"
        if self.seed is not None and self.kind != "dare":
            yield f"{self.kind} draws nothing at random; leave seed out"
        if self.rescale and self.kind != "trim":
            yield f"rescale is for trim, and {self.kind} says itself what it multiplies by; leave it out"

    @property
    def share(self) -> float:
        """The share of the elements of each tensor that is kept."""
        return _TIES_KEEP if self.keep is None else self.keep

    @property
    def joins(self) -> bool:
        """Whether it makes one aligned model of several."""
        return self.kind == "ties"

    def __str__(self) -> str:
        """In words."""
        kept = f"{self.share:.4g} of each tensor"
        return {
            "trim": f"trim (the largest {kept}{', rescaled' * self.rescale})",
            "ties": f"ties (the largest {kept})",
            "dare": f"dare ({kept} at random, seed {self.seed})",
        }[self.kind]


def _as_mapping(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in (kinds := get_args(Kind)):
        raise ValueError(f"there is no operator {value!r}; there are {', '.join(kinds)}{did_you_mean(value, kinds)}")
    return {"kind": value}


Operator = Annotated[
    Delta | None,
    BeforeValidator(_as_mapping),
    Field(description="what is done to the differences of aligned from base before anything is averaged"),
]
"""As a run file has it: `ties` alone, or its fields; by default nothing."""
