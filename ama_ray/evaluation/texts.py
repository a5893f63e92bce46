"""What items ask, and what a model answered to each, for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ama_ray.rewards.chat import as_text
from ama_ray.scores.item_text import ItemText

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ama_ray.probes.base import PreparedProbe
    from ama_ray.rewards.base import PreparedReward


def texts(rewards: Sequence[PreparedReward], probes: Sequence[PreparedProbe]) -> dict[str, list[ItemText]]:
    """What the items ask, by name of the reward or probe; of those whose texts are known."""
    prompts = {
        reward.settings.name: [ItemText(as_text(row, reward.settings.prompts.field)) for row in reward.rows]
        for reward in rewards
    }
    return prompts | {probe.name: list(probe.texts) for probe in probes if probe.texts}


def said(
    rewards: Sequence[PreparedReward], probes: Sequence[PreparedProbe], answers_to: Callable[[str], list[Any]]
) -> dict[str, list[str]]:
    """What was answered to every item, by name of the reward or probe: the first reply, or the choice.

    Args:
        rewards: All of them.
        probes: All of them; those without texts are left out.
        answers_to: It gives the answers to the requests of a reward or probe, by its name.
    """
    names = [reward.settings.name for reward in rewards]
    found = {name: [first.whole for first, *_ in answers_to(name)] for name in names}
    of_probes = {probe.name: probe.said(answers_to(probe.name)) for probe in probes if probe.texts}
    return found | {name: each for name, each in of_probes.items() if each}
