"""The rewards of a run file: sampled replies to prompts, and who scores them. The kinds are in `ama_ray.rewards`."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Discriminator, Field, PlainValidator, SerializeAsAny, field_validator

from ama_ray.config.command import Command
from ama_ray.config.data import Source
from ama_ray.config.fields import Address, Model, Name
from ama_ray.config.kinds import Kinds
from ama_ray.config.sampling import Chat, Sampled, Sampling


class Prompts(Source, Chat):
    """The reward prompts: a JSON-lines file and the field that holds the prompt.

    With `chat`, the model's chat template is applied: a text is one message of the user; a list of messages
    (`role`, `content`) is taken as it is.
    """

    field: str = Field("prompt", description="the field of a row that holds the prompt")


class RewardSettings(Model):
    """What all rewards share.

    `objective` names the objective that the reward counts towards: rewards of one objective are added, each times its
    `weight`; every objective is maximised.
    """

    kind: str = Field(description="what scores")
    name: Name = Field("reward", description="of this reward, where there are several")
    objective: Name = Field("reward", description="what it counts towards; also a column of `trials.csv`")
    weight: float = Field(1.0, description="what it is multiplied by in its objective; below 0 for what is unwanted")

    @field_validator("weight")
    @classmethod
    def _counts(cls, weight: float) -> float:
        if weight == 0 or not math.isfinite(weight):
            raise ValueError("a weight must be a finite number other than 0; leave out a reward that does not count")
        return weight


class RepliesReward(RewardSettings):
    """A reward of sampled replies to prompts: every kind but `command`."""

    prompts: Prompts = Field(description="what is replied to")
    sampling: Sampled = Field(Sampling(), description="how replies are sampled")


class CommandReward(RewardSettings, Command):
    """The mean of the scores that a command of yours gives, finite numbers, of which more is better."""

    kind: Literal["command"]


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


REWARDS = Kinds(
    {
        "function": "ama_ray.rewards.function:FunctionReward",
        "model": "ama_ray.rewards.model:ModelReward",
        "pairwise": "ama_ray.rewards.pairwise:PairwiseReward",
        "judge": "ama_ray.rewards.judge:JudgeReward",
        "math": "ama_ray.rewards.verified:MathReward",
        "code": "ama_ray.rewards.verified:CodeReward",
        "regex": "ama_ray.rewards.verified:RegexReward",
        "json": "ama_ray.rewards.verified:JsonReward",
        "command": "ama_ray.config.rewards:CommandReward",
    },
    Discriminator("kind"),
)
"""The kinds of rewards: a new one is a line here, and a file in `ama_ray/rewards/`."""

Reward = Annotated[SerializeAsAny[RewardSettings], PlainValidator(REWARDS.validate)]
