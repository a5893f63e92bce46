"""`PairEngine`: an engine whose workers read the pair themselves, wherever it is called from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.engine.deep_check import Subject, check
from ama_ray.engine.engine import Engine
from ama_ray.engine.plain_vllm import PlainVllm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ama_ray.checkpoints.pair import Pair
    from ama_ray.config import EngineSettings
    from ama_ray.engine.server.protocol import Facts
    from ama_ray.engine.verdict import Verdict
    from ama_ray.space.groups import Groups


class PairEngine(Engine):
    """An engine with `PairExtension` in its workers.

    Attributes:
        facts: What its server says of itself.
    """

    facts: Facts

    def attach_pair(self, numbers: Sequence[Mapping[str, str]]) -> None:
        """Has the workers load the endpoints, so that `swap` can merge them.

        Args:
            numbers: Of every aligned model, the number of each tensor that differs from base.
        """
        facts = self.facts
        self._call("attach_pair", facts.sources, facts.checksum, [dict(of_model) for of_model in numbers], facts.place)
        self.reset_cache()

    def deep_check(self, pair: Pair, groups: Groups, settings: EngineSettings) -> Verdict:
        """Does the deep check after `attach_pair`, and compares with plain vLLM where that is due.

        Args:
            pair: Opened here.
            groups: Of the search space.
            settings: With `dtype` resolved.
        """
        subject = Subject.of(pair, groups, settings, self.facts.sources)
        checked = check(self, subject)
        if not self.facts.patched or not checked.verdict.passed:
            return checked.verdict
        plain = PlainVllm(pair, subject, settings)
        second = plain.known or plain.check(checked.answers)
        return checked.verdict if second.passed else second

    @property
    def _dtype(self) -> str:
        return self.facts.dtype

    @property
    def _vocabulary_size(self) -> int:
        return self.facts.vocabulary_size
