"""What the items of an evaluation ask, and what a model answered to each, for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.rewards.chat import as_text
from ama_ray.scores.item_text import ItemText

if TYPE_CHECKING:
    from ama_ray.evaluation.evaluation import Answers, Evaluation


def texts(evaluation: Evaluation) -> dict[str, list[ItemText]]:
    """What the items ask, by name of the reward or probe; of those whose texts are known."""
    prompts = {
        reward.settings.name: [ItemText(as_text(row, reward.settings.prompts.field)) for row in reward.rows]
        for reward in evaluation.rewards
    }
    return prompts | {probe.name: list(probe.texts) for probe in evaluation.probes if probe.texts}


def said(evaluation: Evaluation, answers: Answers) -> dict[str, list[str]]:
    """What was answered to every item, by name of the reward or probe: the first reply, or the choice."""
    replies = {each.settings.name: evaluation.answers_to(each.settings.name, answers) for each in evaluation.rewards}
    found = {name: [first.whole for first, *_ in of_name] for name, of_name in replies.items()}
    probes = [probe for probe in evaluation.probes if probe.texts]
    of_probes = {probe.name: probe.said(evaluation.answers_to(probe.name, answers)) for probe in probes}
    return found | {name: each for name, each in of_probes.items() if each}
