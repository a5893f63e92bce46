"""`Inputs`: all that a run reads from disk, opened and checked before Ray or an engine starts."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ama_ray.checkpoints.pair import Pair
from ama_ray.checkpoints.parts import not_searched
from ama_ray.engine.arguments import check_arguments
from ama_ray.engine.dtype import resolved
from ama_ray.environment import no_input
from ama_ray.errors import UserError, one_line
from ama_ray.evaluation.evaluation import SPLITS, Evaluation
from ama_ray.evaluation.terms import objectives_of, on_test_split
from ama_ray.scores.constraints import Constraints
from ama_ray.space.search_space import Groups, SearchSpace
from ama_ray.storage.identity import PAIR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ama_ray.config import RunConfig
    from ama_ray.data.prompting import Tokenizer
    from ama_ray.scores.objectives import Objectives

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True)
class Inputs:
    """A run's pair, search space and items, checked against each other.

    Attributes:
        config: The run file; its `engine.dtype` is resolved, `auto` being the precision of the checkpoints.
        pair: Both checkpoints.
        groups: The search space, resolved for this pair.
        evaluations: Prompts and items, tokenised, by split (`search`, `report`), and by part of the search split.
        objectives: What the objectives are made of.
    """

    config: RunConfig
    pair: Pair
    groups: Groups
    evaluations: Mapping[str, Evaluation]
    objectives: Objectives

    @property
    def test_data(self) -> tuple[str, ...]:
        """The rewards and probes whose search items are from a benchmark's test split."""
        return on_test_split(self.config)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of the pair, a sentence each: where it differs, and what is not searched."""
        still = self.groups.still
        equal = f"{', '.join(still)}: equal in base and aligned, and so without a ratio."
        return (*self.pair.warnings, *not_searched(self.pair.beside, self.config.towers), *([equal] if still else ()))

    @property
    def digests(self) -> dict[str, str]:
        """What a trial's scores depend on besides the run file, each as a hash: the pair, the items, the scorers."""
        digests = {PAIR: self.pair.checksum}
        for split in SPLITS:
            for reward in self.evaluations[split].rewards:
                digests[f"the prompts of {reward.settings.name} ({split} split)"] = _digest(reward.requests)
                for function in reward.functions:
                    path = Path(function.__code__.co_filename)
                    digests[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
            for probe in self.evaluations[split].probes:
                digests[f"the items of {probe.name} ({split} split)"] = _digest(probe)
        return digests

    @property
    def context_length(self) -> int:
        """Most tokens of context that any request of either split takes."""
        return max(evaluation.context_length for evaluation in self.evaluations.values())

    @classmethod
    def open(cls, config: RunConfig) -> Inputs:
        """Opens and checks everything a run reads.

        Raises:
            UserError: Something is missing or off; names the file, field or tensor.
        """
        _refuse_test_split(config)
        objectives = objectives_of(config)
        Constraints.parse(config.constraints, objectives.probes)  # refuses families that there are not
        space = SearchSpace.load(config.space, config.range)
        pair = Pair.open(config.base, config.aligned)
        groups = pair.groups(space)
        pair.check_is_language_model()
        evaluations = Evaluation.prepare(config, _tokenizer(pair.tokenizer_folder), pair.context_limit)
        if not config.early_stopping:
            evaluations = {split: evaluations[split] for split in SPLITS}
        config = config.model_copy(update={"engine": resolved(config.engine, pair)})
        inputs = cls(config, pair, groups, evaluations, objectives)
        if (config.engine.max_model_len or inputs.context_length) < inputs.context_length:
            raise UserError(
                f"engine.max_model_len: {config.engine.max_model_len} tokens are fewer than the "
                f"{inputs.context_length} that the longest request takes; leave it out, or shorten the requests."
            )
        check_arguments(config.engine)
        return inputs


def _digest(value: object) -> str:
    """Of a value whose `repr` says all of it; where functions lie in memory is left out."""
    return hashlib.sha256(_ADDRESS.sub("", repr(value)).encode()).hexdigest()


def _refuse_test_split(config: RunConfig) -> None:
    """Search data may come from a benchmark's test split only where the user says so.

    Raises:
        UserError: Names the first reward or probe that it comes to.
    """
    if not config.allow_test_split and (names := on_test_split(config)):
        raise UserError(
            f"{names[0]}: its search items are from a test split, on which results could then not be reported; name "
            "other data, or set `allow_test_split: true`."
        )


def _tokenizer(folder: Path) -> Tokenizer:
    from transformers import AutoTokenizer

    try:
        with no_input():
            tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # tokenizers raises Exception itself
        raise UserError(f"{folder}: its tokenizer cannot be loaded ({one_line(error)}).") from error
    return tokenizer
