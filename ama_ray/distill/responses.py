"""The responses that the ratios are fitted to: the best that aligned says, or a file of them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from ama_ray.data.prompting import Prompting
from ama_ray.data.rows import read_jsonl
from ama_ray.distill.batches import Response
from ama_ray.distill.sampling import end_tokens, sample
from ama_ray.engine.replies import reply_of
from ama_ray.errors import UserError
from ama_ray.rewards.base import ScorerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ama_ray.data.rows import Row
    from ama_ray.engine.replies import Reply
    from ama_ray.engine.requests import Generation
    from ama_ray.evaluation.inputs import Inputs
    from ama_ray.rewards.base import PreparedReward


def responses_of(inputs: Inputs, model: Any) -> list[Response]:
    """The responses that a run distils from, in an order that its seed gives.

    Args:
        inputs: The run.
        model: Aligned.

    Raises:
        UserError: The file of responses is off, a scorer failed, or blocks leave no room for replies.
    """
    from transformers import AutoTokenizer

    config, seed = inputs.config.distill, inputs.config.seed
    if not inputs.config.replies_rewards:
        raise UserError("distill: no reward has prompts, and so there are no replies to fit the ratios to.")
    tokenizer = AutoTokenizer.from_pretrained(inputs.pair.aligned.folder, trust_remote_code=False)
    if config.responses is not None:
        responses = _read(config.responses, inputs, tokenizer, end_tokens(model)[:1])
    else:
        responses = _best(inputs, model, tokenizer)
    random.Random(seed).shuffle(responses)
    cut = [each for each in (each.cut(config.block) for each in responses[: config.items]) if each.reply]
    if not cut:
        raise UserError(f"distill.block: all prompts have {config.block} tokens or more; make it larger.")
    return cut


def _best(inputs: Inputs, model: Any, tokenizer: Any) -> list[Response]:
    """Of the replies to the prompts of each reward on the search split, the share with the highest reward."""
    config = inputs.config
    kept: list[Response] = []
    for number, reward in enumerate(inputs.evaluations["trade"].rewards):
        sampling = reward.settings.sampling
        n = config.distill.samples if sampling.temperature else 1
        prompts = [request.prompt for request in reward.requests]
        sampled = sample(model, prompts, sampling, n, config.seed + number)
        replies = [each for of in sampled for each in of]
        scores = reward.settings.weight * _scores(reward, sampled, tokenizer)
        best = np.argsort(-scores, kind="stable")[: max(1, round(config.distill.keep * len(replies)))]
        kept += [replies[i] for i in best]
    return kept


def _scores(reward: PreparedReward, sampled: Sequence[Sequence[Response]], tokenizer: Any) -> NDArray[np.float64]:
    def read(request: Generation, response: Response) -> Reply:
        # A special token that ends the thinking is left out once it has been found.
        hidden = not (request.thinking and request.thinking.special)
        text = tokenizer.decode(response.reply, skip_special_tokens=hidden)
        return reply_of(request, text, "end", len(response.reply))

    replies = [[read(request, each) for each in of] for request, of in zip(reward.requests, sampled, strict=True)]
    try:
        return reward.score(replies).scores.reshape(-1)
    except ScorerError as error:
        raise UserError(f"distill: {error}.") from error


def _read(file: Path, inputs: Inputs, tokenizer: Any, end: tuple[int, ...]) -> list[Response]:
    """The rows of a file; a response is taken to be complete, so the model's first end token is put behind it.

    Raises:
        UserError: A row lacks its prompt or response, or its prompt is one of the report split.
    """
    settings = inputs.config.replies_rewards[0].prompts
    prompting = Prompting(tokenizer, settings)
    unseen = {request.prompt for reward in inputs.evaluations["report"].rewards for request in reward.requests}
    responses = []
    for row in read_jsonl(file):
        response = _tokenised(row, prompting, tokenizer)
        if prompting.tokens(row.get("prompt"), row) in unseen:
            raise UserError(
                f"{row.where}: this prompt is in the report split, which nothing may be fitted to; drop it."
            )
        responses.append(Response(response.prompt, response.reply + end))
    return responses


def _tokenised(row: Row, prompting: Prompting, tokenizer: Any) -> Response:
    text = row.text("response")
    if not prompting.chat:
        return Response(*prompting.pair(row.text("prompt"), text, row))
    # A chat template ends where the reply begins, so that no word spans the two.
    return Response(prompting.tokens(row.get("prompt"), row), tuple(tokenizer.encode(text, add_special_tokens=False)))
