"""A run file with constraints, and made-up scores for them."""

from __future__ import annotations

from typing import Any

from ama_ray.config import RunConfig
from ama_ray.scores.constraints import Constraints
from ama_ray.scores.objectives import Objectives
from ama_ray.scores.terms import ProbeTerm
from ama_ray.scores.trial import ProbeResult, Scores
from tests.support.trials import scores

FIELDS: dict[str, Any] = {
    "base": "org/base",
    "aligned": "org/aligned",
    "reward": {"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "s.py:score"},
    "tax": [
        {"kind": "choice", "name": "arc", "family": "common sense", "file": "a.jsonl"},
        {"kind": "choice", "name": "piqa", "family": "common sense", "file": "b.jsonl"},
        {"preset": "gsm8k"},
    ],
    "out": "runs/none",
}

PROBES = (
    ProbeTerm("arc", "common sense", "mean"),
    ProbeTerm("piqa", "common sense", "mean"),
    ProbeTerm("gsm8k", "math", "mean"),
)
"""Those of `FIELDS`."""


def config(**changes: Any) -> RunConfig:
    return RunConfig.from_arguments(**(FIELDS | changes))


def constraints_of(run: RunConfig) -> Constraints:
    return Constraints.parse(run.constraints, Objectives((), PROBES))


def scored(reward: float, *taxes: float) -> Scores:
    probes = {
        name: ProbeResult(0.5, 0.02, tax, 0.03) for name, tax in zip(("arc", "piqa", "gsm8k"), taxes, strict=True)
    }
    return scores((reward, sum(taxes) / 3), probes=probes)
