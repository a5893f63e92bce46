"""`PairEngine`: an engine whose workers read the pair themselves, wherever it is called from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.engine import deep_check
from ama_ray.engine.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.config import EngineSettings
    from ama_ray.engine.deep_check import Verdict
    from ama_ray.engine.server.protocol import Facts
    from ama_ray.space.search_space import Groups


class PairEngine(Engine):
    """An engine with `PairExtension` in its workers.

    Attributes:
        facts: What its server says of itself.
    """

    facts: Facts

    def attach_pair(self, group_of: Mapping[str, str]) -> None:
        """Has the workers load both endpoints, so that `swap` can interpolate them.

        Args:
            group_of: Group by name of every tensor that differs between base and aligned.
        """
        facts = self.facts
        self._call("attach_pair", facts.base, facts.aligned, facts.checksum, dict(group_of), facts.place)
        self._reset_cache()

    def load_merge(self, ratio_of: Mapping[str, float]) -> None:
        """Has the workers load a merge as vLLM would load its export; for the deep check.

        Args:
            ratio_of: Share of aligned by name of every averaged tensor.
        """
        self._call("load_merge", self.facts.base, self.facts.aligned, dict(ratio_of))
        self._reset_cache()

    def deep_check(self, groups: Groups, vocabulary_size: int, settings: EngineSettings) -> Verdict:
        """Two comparisons after `attach_pair`, as no second engine is to be had.

        One with what the server answered before any swap, after a swap to the checkpoint it had started on: it shows
        that vLLM loads again what it loaded first. The other with the merge as vLLM loads it, after a swap to the same
        merge: it shows that a swap is what vLLM loads.

        Args:
            groups: Of the search space.
            vocabulary_size: Token ids that the checkpoints know.
            settings: With `dtype` resolved.

        Returns:
            The worse of the two.
        """
        prompts = deep_check.check_prompts(vocabulary_size)
        self.swap(dict.fromkeys(groups.names, self.facts.starts_at))
        again = self.greedy_logprobs(prompts, deep_check.NEW_TOKENS)
        ratios = deep_check.check_ratios(groups.names)
        self.swap(ratios)
        swapped = self.greedy_logprobs(prompts, deep_check.NEW_TOKENS)
        self.load_merge(groups.ratio_of(ratios))
        loaded = self.greedy_logprobs(prompts, deep_check.NEW_TOKENS)
        first = deep_check.compare(again, self.facts.first_answers, settings)
        second = deep_check.compare(swapped, loaded, settings)
        return min(first, second, key=lambda verdict: (verdict.passed, -verdict.largest_difference))

    @property
    def _dtype(self) -> str:
        return self.facts.dtype

    @property
    def _vocabulary_size(self) -> int:
        return self.facts.vocabulary_size
