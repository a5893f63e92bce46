"""`Inputs`: all that a run reads from disk, opened and checked before Ray or an engine starts."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ama_ray.checkpoints.json_file import read_json_if_there
from ama_ray.checkpoints.pair import Pair
from ama_ray.checkpoints.parts import not_searched
from ama_ray.data.turn_end import endless_turn
from ama_ray.engine import deep_check
from ama_ray.engine.arguments import check_arguments, check_ranks
from ama_ray.engine.dtype import resolved
from ama_ray.engine.requests import Generation
from ama_ray.environment import no_input
from ama_ray.errors import UserError, all_of, one_line
from ama_ray.evaluation import work
from ama_ray.evaluation.evaluation import SPLITS, WHOLE, Evaluation, is_part
from ama_ray.evaluation.terms import objectives_of, on_test_split
from ama_ray.scores.constraints import Constraints
from ama_ray.space.mixture import Mixture
from ama_ray.space.parametrization import parametrization
from ama_ray.space.search_space import SearchSpace
from ama_ray.storage.identity import PAIR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ama_ray.config import RunConfig
    from ama_ray.data.prompting import Tokenizer
    from ama_ray.scores.objectives import Objectives
    from ama_ray.space.groups import Groups
    from ama_ray.space.parametrization import Parametrization

GENERATION_CONFIG = "generation_config.json"
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True)
class Inputs:
    """A run's pair, search space and items, checked against each other.

    Attributes:
        config: The run file; its `engine.dtype` is resolved, `auto` being the precision of the checkpoints.
        pair: Both checkpoints.
        groups: The search space, resolved for this pair.
        evaluations: Prompts and items, tokenised, as of `Evaluation.prepare`.
        objectives: What the objectives are made of.
        warnings: What to know of the pair, a sentence each: where it differs, what is not searched, and what is odd.
    """

    config: RunConfig
    pair: Pair
    groups: Groups
    evaluations: Mapping[str, Evaluation]
    objectives: Objectives
    warnings: tuple[str, ...] = ()

    @cached_property
    def shape(self) -> Parametrization:
        """From the numbers that a sampler chooses to ratios.

        Raises:
            UserError: The search space leaves `mean_ratio` no choice.
        """
        inner = parametrization(self.groups.ranges, self.config.mean_ratio, self.groups.knots)
        several = len(self.config.models) > 1
        return Mixture(inner) if several and self.config.mix != "free" else inner

    @property
    def test_data(self) -> tuple[str, ...]:
        """The rewards and probes whose search items are from a benchmark's test split."""
        return on_test_split(self.config)

    @property
    def digests(self) -> dict[str, str]:
        """What a trial's scores depend on besides the run file, each as a hash: the pair, the items, the scorers."""
        digests = {PAIR: self.pair.checksum, "the tokens that end a reply": _digest(self.pair.ends.ids)}
        for split, whole in zip(SPLITS, WHOLE, strict=True):
            seen = work.sizes(self.evaluations[split])  # of the whole, the first so many
            for reward in self.evaluations[whole].rewards:
                name = reward.settings.name
                digests[f"the prompts of {name} ({split} split)"] = _digest((seen[name], reward.requests))
                for path, text in reward.sources.items():
                    digests[path] = hashlib.sha256(text.encode()).hexdigest()
            for command in self.evaluations[whole].commands.each:
                digests |= command.digests
            for probe in self.evaluations[whole].probes:
                digests[f"the items of {probe.name} ({split} split)"] = _digest((seen[probe.name], probe))
        return digests

    @property
    def longest_request(self) -> int:
        """Most tokens of context that any request of either split takes."""
        return max(evaluation.context_length for evaluation in self.evaluations.values())

    @property
    def context_length(self) -> int:
        """Tokens of context that engines take: as set, or the longest request, or a prompt of the deep check."""
        return self.config.engine.max_model_len or max(self.longest_request, deep_check.CONTEXT)

    @classmethod
    def open(cls, config: RunConfig) -> Inputs:
        """Opens and checks everything a run reads.

        Raises:
            UserError: Something is missing or off; names the file, field or tensor, and, of what can be told at once,
                has a line for each mistake.
        """
        cheap: list[Callable[[], Any]] = [
            partial(_objectives, config),
            partial(SearchSpace.load, config.space, config.range),
        ]
        objectives, space = all_of(cheap)
        _check_ranges(config, space)
        pair = Pair.open(config.base, config.sources[1:], config.engine.dtype, delta=config.delta)
        groups = pair.groups(space, config.models)
        pair.check_is_language_model()
        config = _with_sampling(config, pair)
        tokenizer = _tokenizer(pair.tokenizer_folder)
        evaluations = Evaluation.prepare(config, tokenizer, pair.context_limit, pair.ends.ids)
        if not config.early_stopping:
            evaluations = {name: each for name, each in evaluations.items() if not is_part(name)}
        _check_counted(config, evaluations["search"])
        config = config.model_copy(update={"engine": resolved(config.engine, pair)})
        equal = f"{', '.join(groups.still)}: equal in base and aligned, and so without a ratio." if groups.still else ""
        changed = f"delta: {config.delta}; aligned is what comes of it, in all results too." if config.delta else ""
        odd = filter(None, [changed, equal, endless_turn(tokenizer, pair.ends.ids)])
        warnings = (*pair.warnings, *not_searched(pair.beside, config.towers), *odd)
        inputs = cls(config, pair, groups, evaluations, objectives, warnings)
        if inputs.context_length < inputs.longest_request:
            raise UserError(
                f"engine.max_model_len: {config.engine.max_model_len} tokens are fewer than the "
                f"{inputs.longest_request} that the longest request takes; leave it out, or shorten the requests."
            )
        check_arguments(config.engine)
        check_ranks(config.engine, pair)
        return inputs


def _check_ranges(config: RunConfig, space: SearchSpace) -> None:
    """Shares on a simplex have no ranges of their own.

    Raises:
        UserError: The search space has one.
    """
    if len(config.models) > 1 and config.mix != "free" and space.has_ranges:
        where = config.space if isinstance(config.space, str) else "space"
        raise UserError(
            f"{where}: range: with mix: simplex, shares are 0 or more with a sum of at most 1; leave it out, or "
            "set mix: free."
        )


def _check_counted(config: RunConfig, evaluation: Evaluation) -> None:
    """Tokens can be counted where there are replies.

    Raises:
        UserError: There are none.
    """
    if not config.tokens_of:
        return
    counted = [evaluation.requests[place] for place in evaluation.places.get(config.tokens_of, ())]
    if not any(isinstance(request, Generation) for request in counted):
        raise UserError(f"tokens.of: {config.tokens_of} has no replies; name a reward, or a probe that generates.")


def _with_sampling(config: RunConfig, pair: Pair) -> RunConfig:
    """The run file with what its `sampling` leaves to aligned's `generation_config.json`.

    Raises:
        UserError: That file has what cannot be used.
    """
    file = pair.engine_folder / GENERATION_CONFIG
    said = read_json_if_there(file)

    def resolved(each: Any) -> Any:
        sampling = getattr(each, "sampling", None)
        return each if sampling is None else each.model_copy(update={"sampling": sampling.resolved(said)})

    try:
        reward, tax = (tuple(map(resolved, several)) for several in (config.reward, config.tax))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{file}: {first['loc'][0]}: {first['msg']}; name it in `sampling` instead.") from None
    return config.model_copy(update={"reward": reward, "tax": tax})


def _digest(value: object) -> str:
    """Of a value whose `repr` says all of it; where functions lie in memory is left out."""
    return hashlib.sha256(_ADDRESS.sub("", repr(value)).encode()).hexdigest()


def _objectives(config: RunConfig) -> Objectives:
    objectives = objectives_of(config)
    _refuse_test_split(config)
    Constraints.parse(config.constraints, objectives)  # refuses families that there are not
    return objectives


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
