"""Everything that the page of items shows: prompts, answers and scores, item by item, of the points of the report."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from ama_ray.errors import UserError
from ama_ray.pareto.named_points import knee
from ama_ray.scores.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ama_ray.run import StoredRun
    from ama_ray.scores.item_text import ItemText
    from ama_ray.scores.trial import Trial

_ALL_TEXTS = 16_000_000
"""Most characters of all texts of the page together."""
_ALL_ANSWERS = 400_000
"""Most items times points."""
_LONGEST = 2_000
_log = logging.getLogger(__name__)


def items_of(run: StoredRun) -> dict[str, Any] | None:
    """Collects what the page shows; None where the report split was not scored, or a file is missing or damaged.

    Of very many items, the points that are neither base, aligned nor on the front are left out.
    """
    if run.pareto.split != "report":
        return None
    try:
        texts = run.texts.read_items()
        points = [trial for trial in _points(run) if run.items.has("report", trial.number)]
        most = _ALL_ANSWERS // max(sum(map(len, texts.values())), 1)
        points = sorted(points[: max(most, 3)], key=lambda trial: trial.number)
        scored = {trial.number: run.objectives.of_each_item(run.items.read("report", trial.number)) for trial in points}
        answers = {trial.number: run.texts.read_answers(trial.number) for trial in points}
    except UserError as error:
        _log.warning("%s The page of items is left out.", error)
        return None
    if not texts or not points:
        return None
    return _Page(run, texts, scored, answers).of(points)


def _points(run: StoredRun) -> list[Trial]:
    """Base, aligned, the knee, the front, and then the others that were scored there."""
    pareto = run.pareto
    ends = pareto.trade.ends.values()
    top = [trial for trial in (knee(pareto),) if trial]
    return list({trial.number: trial for trial in (*ends, *top, *pareto.front, *pareto.scored)}.values())


def _name(trial: Trial, ends: Mapping[int, str]) -> str:
    """Of base and aligned, and of all points of the baseline where there are several aligned models."""
    end, title = ends.get(trial.number, ""), trial.title if trial.origin == "baseline" and trial.models > 1 else ""
    return f"{end} ({title})" if end == "aligned" and title else end or title


class _Page:
    def __init__(
        self,
        run: StoredRun,
        texts: Mapping[str, Sequence[ItemText]],
        scored: Mapping[int, Mapping[str, NDArray[np.float64]]],
        answers: Mapping[int, Mapping[str, Sequence[str]]],
    ) -> None:
        self._run = run
        self._scored = scored
        self._answers = answers
        self._higher = dict.fromkeys((reward.name for reward in run.objectives.rewards), True)
        self._higher |= {term.name: METRICS[term.metric].higher_is_better for term in run.objectives.probes}
        first = next(iter(scored.values()))
        # What has another number of items has no texts that would fit.
        self._texts = {name: of for name, of in texts.items() if len(of) == len(first.get(name, ()))}
        count = sum(2 * len(of) for of in self._texts.values())
        count += sum(len({*of.get(name, ())}) for of in answers.values() for name in self._texts)
        self._longest = min(_LONGEST, _ALL_TEXTS // max(count, 1))
        self._pool: dict[str, int] = {"": 0}

    def of(self, points: Sequence[Trial]) -> dict[str, Any]:
        pareto = self._run.pareto
        top = knee(pareto)
        ends = {trial.number: name for name, trial in pareto.trade.ends.items()}
        return {
            "objectives": list(pareto.objectives),
            "lower": [name not in self._run.config.reward_objectives for name in pareto.objectives],
            "sources": [
                {
                    "name": name,
                    "higher": self._higher[name],
                    "prompts": [self._cut(item.prompt) for item in items],
                    "golds": [self._cut(item.gold) for item in items],
                }
                for name, items in self._texts.items()
            ],
            "points": [
                {
                    "number": trial.number,
                    "name": _name(trial, ends),
                    "knee": top is not None and trial.number == top.number,
                    "front": any(each.number == trial.number for each in pareto.front),
                    "values": [_short(trial.objectives[name].value) for name in pareto.objectives],
                    "probes": {name: _short(result.score) for name, result in trial.probes.items()},
                    "scores": [list(map(_short, self._scored[trial.number][name].tolist())) for name in self._texts],
                    "said": [self._said(trial.number, name) for name in self._texts],
                }
                for trial in points
            ],
            "pool": list(self._pool),
        }

    def _said(self, number: int, name: str) -> list[int]:
        """Where the answers of a point are in the pool; most points say the same of most items."""
        answers = self._answers.get(number, {}).get(name, ())
        return [self._pool.setdefault(self._cut(text), len(self._pool)) for text in answers]

    def _cut(self, text: str) -> str:
        return text if len(text) <= self._longest else f"{text[: self._longest]} […]"


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
