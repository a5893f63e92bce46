"""The reward as the raw score of a reward model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from pydantic import Field

from ama_ray.config.fields import CheckpointSource
from ama_ray.engine.classifier.classifier import ClassifierError, ClassifierSettings, Dtype
from ama_ray.engine.classifier.process import OwnProcess
from ama_ray.errors import UserError, one_line
from ama_ray.rewards.base import PreparedReward, RewardKind, Scored, ScorerError, finite
from ama_ray.rewards.chat import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ama_ray.data.rows import Row
    from ama_ray.engine.classifier.classifier import Classifier
    from ama_ray.engine.replies import Reply

_REPLY = "Certainly so"


class ModelReward(RewardKind):
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

    def preparer(self) -> Callable[..., ModelScores]:
        """Fetches the reward model and checks it."""
        model = RewardModel.open(self)
        return partial(ModelScores, model=model, classifier=OwnProcess(model.settings))


@dataclass(frozen=True)
class RewardModel:
    """A reward model that was found in order, not yet loaded.

    Attributes:
        settings: What to load.
        limit: Most tokens of a conversation that it takes; None where its checkpoint does not say.
    """

    settings: ClassifierSettings
    limit: int | None

    @classmethod
    def open(cls, reward: ModelReward) -> RewardModel:
        """Fetches a reward model and checks it without loading it; imports no vllm.

        Raises:
            UserError: It is missing, has no tokenizer, lacks weights, or is no classifier with one output.
        """
        from transformers import AutoConfig

        from ama_ray.checkpoints import checkpoint
        from ama_ray.checkpoints.vocabulary import Vocabulary

        checkpoint.fetch(reward.model)
        tensors = checkpoint.read_tensors(reward.model)
        folder = next(iter(tensors.values())).file.parent
        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        except Exception as error:
            raise UserError(f"{folder / 'config.json'}: transformers cannot read it ({one_line(error)}).") from error
        architecture = (config.architectures or ["none"])[0]
        if not architecture.endswith("ForSequenceClassification"):
            raise UserError(
                f"reward.model: {reward.model} has the architecture {architecture}; a reward model is a sequence "
                "classifier of transformers (...ForSequenceClassification)."
            )
        if config.num_labels != 1:
            raise UserError(
                f"reward.model: {reward.model} has {config.num_labels} outputs; a reward model has one (num_labels: 1)."
            )
        # vLLM does not mind if they are missing, and scores at random.
        if missing := sorted(_head(config) - tensors.keys()):
            raise UserError(f"reward.model: the checkpoint {reward.model} lacks {missing[0]}; it gives no scores.")
        Vocabulary.read(folder)
        try:
            tokenizer = _tokenizer(str(folder))
        except Exception as error:  # tokenizers raises Exception itself
            raise UserError(f"{folder}: its tokenizer cannot be loaded ({one_line(error)}).") from error
        limits = [tokenizer.model_max_length, getattr(config.get_text_config(), "max_position_embeddings", None)]
        known = [limit for limit in limits if limit is not None and 0 < limit < 10**9]  # a tokenizer may say 10^30
        # vLLM's own `auto` narrows float32.
        stored = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
        dtype = reward.dtype if reward.dtype != "auto" or stored not in get_args(Dtype) else cast("Dtype", stored)
        settings = ClassifierSettings(str(folder), reward.backend, dtype)
        return cls(settings, min(known, default=None))

    def tokens(self, conversation: list[dict[str, str]]) -> list[int]:
        """Token ids of a conversation that ends with the reply."""
        tokenizer = _tokenizer(self.settings.folder)
        if tokenizer.chat_template:
            text = tokenizer.apply_chat_template(conversation, tokenize=False)
            # A chat template writes the special tokens itself.
            tokens: list[int] = tokenizer.encode(text, add_special_tokens=False)
        else:
            tokens = tokenizer.encode("".join(message["content"] for message in conversation))
        return tokens


def _head(config: Any) -> set[str]:
    """The names of the weights that make scores of what the language model below them says."""
    import torch
    from transformers import AutoModelForSequenceClassification

    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    return {name for name, _ in model.named_parameters() if not name.startswith(f"{model.base_model_prefix}.")}


@cache
def _tokenizer(folder: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


@dataclass(frozen=True)
class ModelScores(PreparedReward):
    """A reward model with its prompts.

    Attributes:
        settings: The reward of the run file.
        model: What is known of the reward model.
        classifier: Where it runs.
    """

    settings: ModelReward
    model: RewardModel
    classifier: Classifier

    def check(self) -> None:
        """Applies the chat template to every prompt.

        Raises:
            UserError: The template refuses a prompt or leaves replies out, or the reward model does not take the
                longest reply to a prompt.
        """
        for row in self.rows:
            try:
                length = len(self._tokens(row, ""))
            except UserError:
                raise
            except Exception as error:
                raise UserError(
                    f"{row.where}: the chat template of {self.settings.model} fails on this prompt ({one_line(error)})."
                ) from error
            longest = self.settings.sampling.max_tokens
            if self.model.limit is not None and length + longest > self.model.limit:
                raise UserError(
                    f"{row.where}: this prompt has {length} tokens and a reply up to {longest} (sampling.max_tokens), "
                    f"and the reward model {self.settings.model} takes {self.model.limit} in all; lower "
                    "sampling.max_tokens, or shorten or remove the prompt."
                )
        if self._tokens(self.rows[0], "") == self._tokens(self.rows[0], _REPLY):
            raise UserError(
                f"reward.model: the chat template of {self.settings.model} leaves the reply out, so that all replies "
                "to a prompt would have one score; use a model whose template shows it."
            )

    def _score(self, rows: Sequence[Row], replies: Sequence[Reply]) -> Scored:
        name = f"the reward model {self.settings.model}"
        tokens = [self._tokens(row, reply.text) for row, reply in zip(rows, replies, strict=True)]
        for row, reply, text in zip(rows, replies, tokens, strict=True):
            if self.model.limit is not None and len(text) > self.model.limit:
                raise ScorerError(
                    f"{name} takes {self.model.limit} tokens, and {row.where} has {len(text)} with the reply "
                    f"{reply.text!r:.80}; lower sampling.max_tokens, or remove long prompts"
                )
        try:
            scores = self.classifier.scores(tokens)
        except ClassifierError as error:
            raise ScorerError(f"{name}: {error}") from error
        return Scored(finite(name, scores, replies))

    def _tokens(self, row: Row, reply: str) -> list[int]:
        prompt = messages(row, self.settings.prompts.field)
        return self.model.tokens([*prompt, {"role": "assistant", "content": reply}])
