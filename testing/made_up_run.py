"""A run folder of the miniature with a made-up front, and what its points answer by themselves."""

from __future__ import annotations

import asyncio
import json
import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ama_ray.config import RunConfig
from ama_ray.evaluation.terms import objectives_of
from ama_ray.miniature import ROOT
from ama_ray.scores.trial import Estimate, Origin, Scores, Trial
from ama_ray.space.groups import Groups, number_name
from ama_ray.storage.names import RUN, TRIALS
from ama_ray.storage.objectives_file import ObjectivesFile
from ama_ray.storage.records import write_trials

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GROUPS = ["embed", *(f"layer-{layer}" for layer in range(6)), "head"]
POINTS = ("knee", "trial-4", "uniform-0.5", "base", "aligned")
"""Five that differ: trial 3 is the knee."""
MAX_TOKENS = 28
"""Of an answer, as in the miniature's run file."""


def make_run(folder: Path, **fields: Any) -> Path:
    """Writes what a search leaves behind, as far as its points are read from it: no search has to run for that.

    Args:
        folder: To be made.
        fields: Of the run file, besides the miniature's.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    config = RunConfig.load(ROOT / "run.yaml", out=folder, **fields)
    (folder / RUN).write_text(config.to_yaml(), encoding="utf-8")
    ObjectivesFile.of(objectives_of(config)).write(folder)
    rising = {group: 0.1 + 0.1 * index for index, group in enumerate(GROUPS)}
    falling = {group: 1 - ratio for group, ratio in rising.items()}
    write_trials(
        folder / TRIALS,
        [
            _trial(0, "baseline", dict.fromkeys(GROUPS, 0.0), 0.0, 0.0),
            _trial(1, "baseline", dict.fromkeys(GROUPS, 1.0), 4.0, 0.4),
            _trial(2, "baseline", dict.fromkeys(GROUPS, 0.5), 2.0, 0.2),
            _trial(3, "sampler", rising, 3.5, 0.05),
            _trial(4, "sampler", falling, 3.0, 0.02),
        ],
    )
    return folder


def make_several_run(folder: Path, paths: Sequence[Path], **fields: Any) -> Path:
    """The same of several aligned models, of which the last is the best alone; trial 6 is the knee.

    The baseline has each model alone, half of the equal average, and the soup of the first two.
    """
    config = RunConfig.load(ROOT / "run.yaml", out=folder, aligned=[str(path) for path in paths], **fields)
    folder.mkdir(parents=True)
    (folder / RUN).write_text(config.to_yaml(), encoding="utf-8")
    ObjectivesFile.of(objectives_of(config)).write(folder)
    groups = Groups(
        tuple(number_name(group, model) for group in GROUPS for model in config.models), {}, {}, models=config.models
    )
    count = len(paths)
    points = [groups.alone(end) for end in range(count + 1)]
    points += [groups.everywhere([0.5 / count] * count), groups.everywhere([0.5, 0.5, *[0.0] * (count - 2)])]
    points.append({name: 0.1 + 0.7 * (place % 5) / 5 / count for place, name in enumerate(groups.names)})
    values = [(0.0, 0.0), *((3.0 + end, 0.4 + 0.1 * end) for end in range(count)), (2.0, 0.2), (3.4, 0.3), (3.8, 0.05)]
    origins: list[Origin] = [*["baseline"] * (count + 3), "sampler"]  # type: ignore[list-item]
    write_trials(
        folder / TRIALS,
        [
            _trial(number, origin, ratios, *value)
            for number, (origin, ratios, value) in enumerate(zip(origins, points, values, strict=True))
        ],
    )
    return folder


def _trial(number: int, origin: Origin, ratios: dict[str, float], reward: float, tax: float) -> Trial:
    scores = Scores({"reward": Estimate(reward, 0.1), "tax": Estimate(tax, 0.01)})
    return Trial(number, "complete", origin, ratios, scores)


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        name: Of the point.
        prompt: A text to be continued.
        stream: Whether its answer is to come in pieces.
    """

    name: str
    prompt: str
    stream: bool


@dataclass(frozen=True)
class Answered:
    """Its answer.

    Attributes:
        text: All of it.
        names: The points by which it says it was made, one where they agree.
    """

    text: str
    names: frozenset[str]


def requests(names: Sequence[str], count: int) -> list[Asked]:
    """As many for each name, of the same reward prompts, every third a stream, in a mixed order."""
    file = ROOT / "data" / "report" / "prompts.jsonl"
    prompts = [json.loads(line)["prompt"] for line in file.read_text(encoding="utf-8").splitlines()]
    asked = [Asked(names[i % len(names)], prompts[i // len(names)], i % 3 == 0) for i in range(count)]
    random.Random(0).shuffle(asked)
    return asked


async def ask(url: str, asked: Sequence[Asked], concurrent: int, key: str | None = None) -> list[Answered]:
    """Has a server answer requests at temperature 0, so many at a time."""
    import httpx

    free = asyncio.Semaphore(concurrent)
    options: dict[str, Any] = {"limits": httpx.Limits(max_connections=None), "timeout": 600, "trust_env": False}
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, **options) as client:

        async def one(request: Asked) -> Answered:
            body = {"model": request.name, "prompt": request.prompt, "max_tokens": MAX_TOKENS, "temperature": 0}
            async with free:
                answer = await client.post("/v1/completions", json=body | {"stream": request.stream})
            assert answer.is_success, answer.text
            data = [line.removeprefix("data:") for line in answer.text.splitlines() if line.startswith("data: {")]
            pieces = [json.loads(piece) for piece in data] if request.stream else [answer.json()]
            text = "".join(piece["choices"][0]["text"] for piece in pieces)
            return Answered(text, frozenset(piece["model"] for piece in pieces))

        return list(await asyncio.gather(*(one(request) for request in asked)))


def by_a_fresh_engine(folder: Path, prompts: Sequence[str]) -> list[str]:
    """What a vLLM engine says that was started on a checkpoint and never held other weights, in one batch."""
    os.environ |= {"OMP_NUM_THREADS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR"}
    import torch
    from vllm import LLM, SamplingParams

    torch._dynamo.config.disable = True
    torch.set_num_threads(1)
    fields: dict[str, Any] = {
        "max_model_len": 128,
        "enforce_eager": True,
        "kv_cache_memory_bytes": 2**28,
        "block_size": 32,
        "seed": 0,
    }
    llm = LLM(model=str(folder), dtype="float32", **fields)
    sampling = SamplingParams(temperature=0, max_tokens=MAX_TOKENS)
    return [output.outputs[0].text for output in llm.generate(list(prompts), sampling, use_tqdm=False)]


def by_transformers(folder: Path, prompts: Sequence[str]) -> list[str]:
    """The same by transformers, prompt by prompt."""
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = []
    for prompt in prompts:
        tokens = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            whole = model.generate(**tokens, do_sample=False, max_new_tokens=MAX_TOKENS)[0]
        reply = tokenizer.decode(whole[tokens["input_ids"].shape[1] :], skip_special_tokens=True)
        texts.append(f" {reply}" if reply else "")
    return texts
