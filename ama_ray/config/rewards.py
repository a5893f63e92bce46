"""The rewards of a run file: sampled replies to prompts, and who scores them."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ama_ray.config.data import Source
from ama_ray.config.fields import Address, CheckpointSource, FunctionAddress, Model, Name


class Prompts(Source):
    """The reward prompts: a JSON-lines file and the field that holds the prompt.

    With `chat`, the model's chat template is applied: a text is one message of the user; a list of messages
    (`role`, `content`) is taken as it is.
    """

    field: str = Field("prompt", description="the field of a row that holds the prompt")
    chat: bool = Field(False, description="apply the pair's chat template")


class Sampling(Model):
    """How replies are sampled. Every trial uses the same seed for the same prompt."""

    max_tokens: int = Field(64, ge=1, description="most tokens of a reply")
    temperature: float = Field(1.0, ge=0, description="0 is greedy")
    n: int = Field(1, ge=1, description="replies per prompt")


class _Reward(Model):
    """What all rewards share.

    `objective` names the objective that the reward counts towards: rewards of one objective are added, each times its
    `weight`; every objective is maximised.
    """

    name: Name = Field("reward", description="of this reward, where there are several")
    objective: Name = Field("reward", description="what it counts towards; also a column of `trials.csv`")
    weight: float = Field(1.0, description="what it is multiplied by in its objective; below 0 for what is unwanted")
    prompts: Prompts = Field(description="what is replied to")
    sampling: Sampling = Field(Sampling(), description="how replies are sampled")

    @field_validator("weight")
    @classmethod
    def _counts(cls, weight: float) -> float:
        if weight == 0 or not math.isfinite(weight):
            raise ValueError("a weight must be a finite number other than 0; leave out a reward that does not count")
        return weight


class FunctionReward(_Reward):
    """The mean of a Python function over sampled replies to the prompts.

    `scorer` is `file.py:function`, the function being
    `score(rows: list[dict], replies: list[str]) -> list[float]`, one row of the prompt file per reply.
    """

    kind: Literal["function"]
    scorer: FunctionAddress = Field(description="scores replies")


class ModelReward(_Reward):
    """The mean raw score of a reward model: a Hugging Face sequence classifier with one output.

    Prompt and reply are a conversation to which the reward model's own chat template is applied; without a template,
    they are one text, the prompt followed by the reply. Nothing is cut: a conversation that is longer than the reward
    model takes is an error. `backend: auto` is vLLM where it serves the architecture, else transformers.

    `replicas: 0` runs the reward model in the place of every trial, in a process beside its engine; more start as many
    processes that all trials share, each with `cpus` and `gpus` of its own.
    """

    kind: Literal["model"]
    model: CheckpointSource = Field(description="the reward model")
    backend: Literal["auto", "vllm", "transformers"] = Field("auto", description="what runs it")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="precision in which it computes; `auto` is its checkpoint's own"
    )
    replicas: int = Field(0, ge=0, description="processes that all trials share; 0 is one beside every engine")
    cpus: float = Field(1, gt=0, description="CPU cores per replica")
    gpus: float = Field(0, ge=0, description="GPUs per replica")


class Judge(Model):
    """A language model behind an OpenAI-compatible address that is asked for a number, at temperature 0.

    The API key is read from the environment variable that `api_key_env` names. Verdicts are kept on disk, so the same
    question is paid for once.
    """

    url: Address = Field(description="such as http://127.0.0.1:8000/v1")
    model: str = Field(description="what the server calls it")
    template: str | None = Field(None, description="the question; see the reward for what is filled in")
    max_tokens: int = Field(256, ge=1, description="most tokens of an answer")
    concurrency: int = Field(16, ge=1, description="most requests at a time, of each trial")
    timeout: float = Field(60, gt=0, description="seconds per request")
    retries: int = Field(5, ge=0, description="of a request that failed, after waits that double")
    api_key_env: str | None = Field(None, description="environment variable with the key of the server")

    def must_ask_for(self, *fields: str) -> None:
        """Refuses a template without these fields.

        Raises:
            ValueError: Names the first field that is missing.
        """
        for field in fields:
            if self.template is not None and f"{{{field}}}" not in self.template:
                raise ValueError(f"judge.template: {{{field}}} must stand where the judge is to see it")


class JudgeReward(_Reward):
    """The mean of the marks that a judge gives: the first number within `scale` in its answer.

    In the judge's `template`, {prompt}, {reply}, {reference}, {low} and {high} are filled in.
    """

    kind: Literal["judge"]
    judge: Judge = Field(description="who gives the marks")
    scale: tuple[float, float] = Field((1, 10), description="lowest and highest mark")
    reference: str = Field("reference", description="the field of the prompt file for {reference}")

    @model_validator(mode="after")
    def _can_be_asked(self) -> JudgeReward:
        if not self.scale[0] < self.scale[1]:
            raise ValueError("scale: give the lowest mark, then the highest")
        self.judge.must_ask_for("reply")
        return self


class PairwiseReward(_Reward):
    """The win rate (0-1) against fixed reference replies, which stand in the prompt file under `reference`.

    Either `scorer`, a function `compare(rows, replies, references) -> list[float]` that gives the chance that the
    reply is the better one (0-1), or a `judge`. The judge sees every pair in both orders and answers each with a number
    from 1 (the first is better) to 2 (the second is better); the mean of the two verdicts counts. In its `template`,
    {prompt}, {first} and {second} are filled in.
    """

    kind: Literal["pairwise"]
    reference: str = Field("reference", description="the field of the prompt file with the reference reply")
    scorer: FunctionAddress | None = Field(None, description="says how likely each reply is the better one")
    judge: Judge | None = Field(None, description="who says it instead")

    @model_validator(mode="after")
    def _has_one_scorer(self) -> PairwiseReward:
        if (self.scorer is None) == (self.judge is None):
            raise ValueError("give either scorer (file.py:function) or judge")
        if self.judge is not None:
            self.judge.must_ask_for("first", "second")
        return self


Reward = Annotated[FunctionReward | ModelReward | JudgeReward | PairwiseReward, Field(discriminator="kind")]
