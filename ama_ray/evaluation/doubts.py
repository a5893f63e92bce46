"""What the answers of base say against a reward or a probe: where it shows nothing, no trial will show more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.engine.requests import Generation
from ama_ray.scores.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ama_ray.engine.replies import Reply
    from ama_ray.engine.requests import Request
    from ama_ray.evaluation.evaluation import Answers, Evaluation
    from ama_ray.scores.objectives import Objectives


def doubts(evaluation: Evaluation, objectives: Objectives, answers: Answers) -> Iterator[str]:
    """Yields a sentence for every reward and probe that base's answers make doubtful.

    Args:
        evaluation: On one split.
        objectives: What the objectives are made of.
        answers: Of base, to this evaluation.
    """
    for reward in evaluation.rewards:
        if _is_silent(reward.requests, evaluation.answers_to(reward.settings.name, answers)):
            yield f"{reward.settings.name}: every reply of base is empty; see whether its prompts suit the model"
    metrics = {term.name: METRICS[term.metric] for term in objectives.probes}
    items = evaluation.measure_probes(answers, answers)
    for command in evaluation.commands.each:
        if command.name in metrics and not items[command.name].any():
            yield f"{command.name}: its command gives base 0 on each item, so that nothing can be lost there"
    for probe in evaluation.probes:
        metric, scored = metrics[probe.name], items[probe.name]
        score, low = metric.score(scored), metric.interval(scored).low
        if _is_silent(probe.requests, evaluation.answers_to(probe.name, answers)):
            yield f"{probe.name}: every reply of base is empty; see whether `stop` and its prompts suit the model"
        elif metric.bounded and metric.higher_is_better and not score:
            yield (
                f"{probe.name}: base scores 0 on each of its {len(scored)} items, so that nothing can be lost there; "
                "see whether its prompts and answers suit the model, or leave it out"
            )
        elif low <= probe.chance and probe.chance:
            yield (
                f"{probe.name}: base scores {score:.3f} on {len(scored)} items, which is not beyond error of guessing "
                f"({probe.chance:.3f}), so that little can be lost there; see whether its prompts suit the model"
            )


def _is_silent(requests: Sequence[Request], answers: Sequence[Sequence[Reply]]) -> bool:
    asked = zip(requests, answers, strict=True)
    return all(
        isinstance(request, Generation) and not any(reply.text.strip() for reply in replies)
        for request, replies in asked
    )
