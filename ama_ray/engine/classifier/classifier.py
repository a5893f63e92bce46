"""Reward models: sequence classifiers with one output, run by vLLM or by transformers. Imports neither at the top."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ama_ray.engine.model_classes import import_model_classes, names_in_vllm
from ama_ray.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

KV_CACHE_BYTES = 2**30
"""Of vLLM's cache; a model for which this does not hold its longest context takes shorter ones."""
BATCH_TOKENS = 16384
"""Most tokens of a batch in transformers, padding included."""


class ClassifierError(RuntimeError):
    """A reward model could not be loaded, or gave no scores; one line."""


@dataclass(frozen=True)
class ClassifierSettings:
    """What to load, and how.

    Attributes:
        folder: The checkpoint.
        backend: `auto` is vLLM where it serves the architecture, else transformers.
        dtype: `auto` is what the backend makes of the checkpoint: vLLM narrows float32.
    """

    folder: str
    backend: Literal["auto", "vllm", "transformers"] = "auto"
    dtype: Dtype = "auto"


class Classifier(Protocol):
    """Scores texts, however and wherever."""

    def scores(self, tokens: Sequence[Sequence[int]]) -> list[float]:
        """The raw score of each text, before any activation.

        Args:
            tokens: Token ids of every text, special tokens included.

        Raises:
            ClassifierError: There are no scores; one line that says why.
        """
        ...


def load(settings: ClassifierSettings) -> Classifier:
    """Loads a reward model into this process, which must not run another engine.

    Two engines in one process share vLLM's process groups: when one of them ends, or fails to start, it takes the
    other's along.

    Raises:
        ClassifierError: It cannot be loaded.
    """
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        if settings.backend == "transformers":
            return TransformersClassifier(settings)
        if _is_served_by_vllm(settings.folder):
            return VllmClassifier(settings)
        if settings.backend == "auto":
            return TransformersClassifier(settings)
    except ClassifierError:
        raise
    except Exception as error:
        raise ClassifierError(f"it cannot be loaded ({one_line(error)})") from error
    raise ClassifierError("vLLM does not serve its architecture; set backend to transformers or auto")


def _is_served_by_vllm(folder: str) -> bool:
    # Of vllm, only the registry: a model class of vllm changes some of transformers' own, which may be needed here.
    from transformers import AutoConfig
    from vllm.model_executor.models.registry import ModelRegistry

    served = ModelRegistry.get_supported_archs()
    (architecture,) = AutoConfig.from_pretrained(folder, trust_remote_code=False).architectures
    return any(name in served for name in names_in_vllm(architecture))


class VllmClassifier:
    """A reward model in vLLM's pooling runner."""

    def __init__(self, settings: ClassifierSettings) -> None:
        """Starts vLLM in this process."""
        import torch

        on_cpu = not torch.cuda.is_available()
        if on_cpu:
            os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        from vllm import LLM

        import_model_classes(Path(settings.folder))
        self._llm = LLM(
            model=settings.folder,
            runner="pooling",
            trust_remote_code=False,
            dtype=settings.dtype,
            enforce_eager=on_cpu,
            max_model_len=-1,  # as long as the cache holds
            kv_cache_memory_bytes=KV_CACHE_BYTES,
            # With the size of the cache given, this is only what must be free at the start: an engine has the rest.
            gpu_memory_utilization=0.01,
        )
        config = self._llm.model_config
        self._padding: int | None = None
        if config.pooler_config.seq_pooling_type == "LAST":
            self._padding = config.hf_config.get_text_config().pad_token_id

    def scores(self, tokens: Sequence[Sequence[int]]) -> list[float]:
        """See `Classifier`."""
        from vllm import PoolingParams

        outputs = self._llm.encode(
            [{"prompt_token_ids": self._without_padding(text)} for text in tokens],
            pooling_task="classify",
            pooling_params=PoolingParams(use_activation=False),
            use_tqdm=False,
        )
        return [float(output.outputs.data) for output in outputs]

    def _without_padding(self, text: Sequence[int]) -> list[int]:
        # A template may end a text with the padding token. transformers, with which reward models are trained, then
        # reads the score at the last token that is another one; vLLM would read it at the very last.
        end = len(text)
        while end > 1 and text[end - 1] == self._padding:
            end -= 1
        return list(text[:end])


class TransformersClassifier:
    """A reward model in plain transformers."""

    def __init__(self, settings: ClassifierSettings) -> None:
        """Loads it.

        Raises:
            ClassifierError: The checkpoint lacks some of the weights, which would then be random.
        """
        import torch
        from transformers import AutoModelForSequenceClassification

        model, info = AutoModelForSequenceClassification.from_pretrained(
            settings.folder,
            dtype=settings.dtype,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        if info["missing_keys"]:
            raise ClassifierError(f"its checkpoint lacks {', '.join(sorted(info['missing_keys']))}")
        self._model: Any = model.eval().to("cuda" if torch.cuda.is_available() else "cpu")

    def scores(self, tokens: Sequence[Sequence[int]]) -> list[float]:
        """See `Classifier`."""
        import torch

        padding = self._model.config.get_text_config().pad_token_id
        scores = [0.0] * len(tokens)
        waiting = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        while waiting:
            longest = len(tokens[waiting[-1]])
            # Without a padding token, transformers takes one text at a time.
            size = 1 if padding is None else max(1, BATCH_TOKENS // longest)
            batch, waiting = waiting[-size:], waiting[:-size]
            ids = torch.full((len(batch), longest), padding or 0)
            mask = torch.zeros_like(ids)
            for row, i in enumerate(batch):
                ids[row, : len(tokens[i])] = torch.tensor(tokens[i])
                mask[row, : len(tokens[i])] = 1
            with torch.inference_mode():
                logits = self._model(
                    input_ids=ids.to(self._model.device), attention_mask=mask.to(self._model.device)
                ).logits
            for i, score in zip(batch, logits[:, 0].tolist(), strict=True):
                scores[i] = score
        return scores
