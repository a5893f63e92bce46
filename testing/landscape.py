"""What any ratios of the miniature score: computed by a fast decoder, kept on disk, the same every time.

A trial here costs half a second of one core and no engine, so that searches can be compared over many seeds. The reward
is of replies sampled with fixed noise; the probes are those of `ama_ray/miniature/run.yaml`.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diskcache
import numpy as np
import torch
from transformers import AutoTokenizer

from ama_ray.checkpoints.arithmetic import interpolate
from ama_ray.checkpoints.pair import Pair
from ama_ray.config import RunConfig
from ama_ray.evaluation.terms import objectives_of
from ama_ray.miniature import ROOT
from ama_ray.miniature.reward import score
from ama_ray.space.search_space import SearchSpace
from testing.decoder import Decoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ama_ray.config import Split
    from ama_ray.scores.objectives import Items
    from ama_ray.scores.trial import Scores

REPLIES = 2
"""Sampled replies to a prompt."""


class Landscape:
    """The scores of a pair of the miniature over all ratios of a search space.

    Attributes:
        aligned: One of the miniature's aligned models.
        space: A search space, by name.
        groups: Of it.
        objectives: Of the miniature's run file.
        moved: How far each group is from base to aligned.
    """

    def __init__(self, aligned: str, space: str, cache: Path) -> None:
        """Opens a landscape.

        Args:
            aligned: One of the miniature's aligned models, rsf, dpo or rloo, or the absolute path of another.
            space: A search space, by name.
            cache: Folder of what was computed before.
        """
        self.aligned, self.space = aligned, space
        self._pair = Pair.open(str(ROOT / "base"), str(ROOT / aligned))
        self._resolved = SearchSpace.load(space).resolve(self._pair.names)
        self.groups = self._resolved.names
        self.moved = self._resolved.moved(self._pair.moves)
        self.objectives = objectives_of(RunConfig.load(ROOT / "run.yaml"))
        self._cache = diskcache.Cache(cache / Path(aligned).name, eviction_policy="none")

    def scores(self, ratios: Mapping[str, float], split: Split) -> Scores:
        """Rewards and taxes of a merge, with standard errors."""
        items = self.items(ratios, split) if any(ratios.values()) else self._base[split]
        return self.objectives.scores(items, self._base[split])

    def items(self, ratios: Mapping[str, float], split: Split) -> Items:
        """The items of a merge.

        Args:
            ratios: By group; rounded to six places.
            split: Whose items.
        """
        of_tensor = {tensor: round(ratio, 6) for tensor, (ratio,) in self._resolved.shares_of(ratios).items()}
        key = (split, *(of_tensor[name] for name in self._pair.names))
        items: Items | None = self._cache.get(key)
        if items is None:
            merged = {name: interpolate(*ends, of_tensor[name]) for name, ends in self._ends.items()}
            items = self._tests[split].items(merged)
            self._cache[key] = items
        return items

    @cached_property
    def _ends(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        # As in an engine that computes in float32: merged there, not in the bfloat16 of the files.
        return {name: (base.float(), aligned.float()) for name, base, (aligned,) in self._pair.tensors()}

    @cached_property
    def _base(self) -> dict[Split, Items]:
        return {split: self.items(dict.fromkeys(self.groups, 0.0), split) for split in ("search", "report")}

    @cached_property
    def _tests(self) -> dict[Split, _Test]:
        decoder = Decoder(self._pair.base.config)
        return {split: _Test(decoder, split) for split in ("search", "report")}


class _Test:
    """One split's prompts and items, tokenised."""

    def __init__(self, decoder: Decoder, split: Split) -> None:
        self._decoder = decoder
        self._tokenizer = AutoTokenizer.from_pretrained(ROOT / "base")
        folder = ROOT / "data" / split
        self._chats = [row for row in _rows(folder / "prompts.jsonl") for _ in range(REPLIES)]
        generator = torch.Generator().manual_seed(0)
        config = RunConfig.load(ROOT / "run.yaml")
        self._tokens: int = config.replies_rewards[0].sampling.max_tokens
        shape = (len(self._chats), self._tokens, len(self._tokenizer))
        self._noise = -torch.empty(shape).exponential_(generator=generator).log()
        self._probes: Sequence[Any] = config.tax
        self._rows = {probe.name: _rows(folder / f"{probe.name}.jsonl") for probe in config.tax}

    def items(self, weights: Mapping[str, torch.Tensor]) -> Items:
        self._decoder.load(weights)
        ids, mask = self._read(self._chats)
        replies = self._decode(self._decoder.reply(ids, mask, [self._tokens] * len(ids), self._noise))
        rewards = np.array(score(self._chats, replies)).reshape(-1, REPLIES).mean(axis=1)
        return {"reward": rewards[:, None]} | self._generated() | self._chosen()

    def _generated(self) -> dict[str, NDArray[np.float64]]:
        asked = [(probe, row) for probe in self._probes if probe.kind == "exact" for row in self._rows[probe.name]]
        ids, mask = self._read([row for _, row in asked])
        replies = self._decode(self._decoder.reply(ids, mask, [probe.max_tokens for probe, _ in asked]))
        right: dict[str, list[bool]] = {}
        for (probe, row), reply in zip(asked, replies, strict=True):
            right.setdefault(probe.name, []).append(reply == row["answer"])
        return {name: np.array(each, float)[:, None] for name, each in right.items()}

    def _chosen(self) -> dict[str, NDArray[np.float64]]:
        right = {}
        for probe in self._probes:
            if probe.kind == "choice":
                rows = self._rows[probe.name]
                choices = torch.tensor([self._tokenizer.convert_tokens_to_ids(row["choices"]) for row in rows])
                best = self._decoder.next_logits(*self._read(rows)).gather(1, choices).argmax(1)
                right[probe.name] = np.array([[row["gold"]] for row in rows]) == best.numpy()[:, None]
        return {name: each.astype(float) for name, each in right.items()}

    def _read(self, rows: Sequence[Mapping[str, Any]]) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = self._tokenizer([row["prompt"] for row in rows], padding=True, return_tensors="pt")
        return inputs["input_ids"], inputs["attention_mask"].bool()

    def _decode(self, tokens: torch.Tensor) -> list[str]:
        return list(self._tokenizer.batch_decode(tokens, skip_special_tokens=True))


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
