"""The engines of a run: vLLM, in the processes of the trials or behind an address."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ama_ray.config.fields import Address, Model, listed
from ama_ray.config.vllm_arguments import QUANTISED, only_free


class EngineSettings(Model):
    """The vLLM engine of a trial, and what a trial takes from the node it runs on."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="precision in which is computed: `auto` is the checkpoints' own; else that or float32"
    )
    enforce_eager: bool | None = Field(None, description="default: true without a GPU, where compiling costs a minute")
    kv_cache_gib: float = Field(
        1, gt=0, description="GiB of KV cache per engine on a CPU; on a GPU vLLM takes what is left"
    )
    kv_cache_dtype: Literal["auto", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2"] = Field(
        "auto", description="precision of the KV cache, as vLLM has it: `auto` is the engine's"
    )
    gpu_memory_utilization: float = Field(
        0.9, gt=0, le=1, description="share of a GPU's memory that a run takes in all, endpoints on it included"
    )
    max_num_seqs: int | None = Field(
        None, ge=1, description="most replies that are generated together; default: vLLM's"
    )
    max_model_len: int | None = Field(None, ge=32, description="tokens of context; default: what the requests need")
    vllm: Annotated[dict[str, Any], AfterValidator(only_free)] = Field(
        {},
        description="further arguments of vLLM by name, as `max_num_batched_tokens`; those that the swap or the scores "
        "depend on are refused",
    )
    endpoints: Literal["auto", "accelerator", "split", "pinned", "object_store"] = Field(
        "auto",
        description="where both endpoints lie while trials run, with a GPU: on it, base on it and aligned in locked "
        "host memory, both in locked host memory, or as they are in Ray's object store; default: the first that fits",
    )
    url: Annotated[tuple[Address, ...], BeforeValidator(listed)] = Field(
        (), description="servers that `ama-ray engine` started, used instead of engines of the run's own"
    )
    api_key_env: str | None = Field(None, description="environment variable with the key of these servers")
    cpus: float = Field(1, gt=0, description="CPU cores per trial")
    gpus: int | None = Field(
        None,
        ge=0,
        description="GPUs per trial, all of one node, which share the weights (tensor parallel); default: one where "
        "there is one",
    )
    timeout: float = Field(
        3600,
        gt=0,
        description="seconds after which a trial (or a part of it) that has not ended is run again elsewhere; commands "
        "have theirs besides",
    )

    @model_validator(mode="before")
    @classmethod
    def _has_no_quantization(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and "quantization" in fields:
            raise ValueError(f"quantization cannot be set: {QUANTISED}")
        return fields

    @property
    def ranks(self) -> int:
        """Processes that share the weights: one for each GPU."""
        return self.gpus or 1
