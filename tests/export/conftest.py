"""Runs with real checkpoints and made-up scores, to be exported from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ama_ray.checkpoints.pair import Pair
from ama_ray.scores.trial import ProbeResult, Scores, Trial
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import make_pair
from tests.support.runs import run_of, write_run
from tests.support.trials import scores

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runs import MakeRun

DIGESTS = {"study": "s-1", "base and aligned": "1", "the items of arc (search split)": "2", "/home/me/reward.py": "3"}


def scored(reward: float, tax: float) -> Scores:
    return scores((reward, tax), probes={"arc": ProbeResult(0.62 - tax, 0.02, tax, 0.01)})


@pytest.fixture
def make_export_run(tmp_path: Path) -> MakeRun:
    def make(pair: tuple[Path, Path] | None = None, space: str = "per-layer", **checkpoint: Any) -> Path:
        """Trials: base, aligned, the uniform point between, one on both splits (3), one on the search split (4)."""
        base, aligned = pair or make_pair(tmp_path / "pair", **checkpoint)
        opened = Pair.open(str(base), str(aligned))
        groups = SearchSpace.load(space).resolve(opened.names).names
        draw = np.random.default_rng(0)

        def ratios(each: float | None) -> dict[str, float]:
            drawn = draw.uniform(0, 1, len(groups)) if each is None else [each] * len(groups)
            return dict(zip(groups, map(float, drawn), strict=True))

        trials = [
            Trial(0, "complete", "baseline", ratios(0.0), scored(-0.2, 0.0), scored(-0.25, 0.0)),
            Trial(1, "complete", "baseline", ratios(1.0), scored(4.2, 0.5), scored(4.25, 0.51)),
            Trial(2, "complete", "baseline", ratios(0.5), scored(1.5, 0.1), scored(1.55, 0.1)),
            Trial(3, "complete", "sampler", ratios(None), scored(3.7, 0.11), scored(3.71, 0.12)),
            Trial(4, "stopped", "sampler", ratios(None), scored(2.0, 0.3), share=0.25),
        ]
        run = run_of(trials, tmp_path / "run", base=str(base), aligned=str(aligned), space=space)
        folder = write_run(run, DIGESTS | {"base and aligned": opened.checksum})
        (folder / "summary.json").write_text(json.dumps({"versions": {"python": "3.11.9", "vllm": "0.32.0"}}))
        return folder

    return make
