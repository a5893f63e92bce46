"""How fast are log-likelihoods of choices? The same items through our engine and through lm-evaluation-harness.

    python -m benchmarks.speed.choice --items 200
    python -m benchmarks.speed.choice --file items.jsonl     # rows: prompt, choices (list), gold (index)

Makes a Llama of about 12 million random float32 weights and a byte-level BPE tokenizer, and scores the items from their
texts with `Engine.loglikelihoods` and with lm-evaluation-harness's `HFLM.loglikelihood`, at its best of some batch
sizes. Each has a process of its own, as vllm alters transformers, with the same number of threads; they take turns, and
neither keeps anything between repeats (`loglikelihoods` empties its cache first). Fails where a log-likelihood differs
by more than 0.0001 or the accuracies differ. Prints a table and a JSON object.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLERANCE = 1e-4
VOCABULARY = 4096
BATCH_SIZES = (1, 4, 8, 16, 32)
WARM_UP, TUNING = 8, 40
"""Items scored before anything is timed, and items that choose lm-eval's batch size."""

Rows = list[dict[str, Any]]


def main(
    items: Annotated[int, typer.Option(min=1, help="items to make up, or to take of the file")] = 200,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="JSON lines to use instead")] = None,
    threads: Annotated[int, typer.Option(min=1, help="PyTorch threads of either")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="timed turns of either")] = 5,
) -> None:
    """Scores the same items with both and compares."""
    world = World()
    rows = world.items(items) if file is None else list(map(json.loads, file.read_text("utf-8").splitlines()))[:items]
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder, _process() as ours, _process() as theirs:
        texts = (world.sentence() for _ in range(20_000)) if file is None else _texts(rows)
        length = theirs.submit(make_checkpoint, Path(folder), list(texts), rows).result()
        batch_size = theirs.submit(start_lm_eval, Path(folder), threads, rows).result()
        ours.submit(start_engine, Path(folder), threads, length, rows).result()
        turns = [(ours.submit(score, rows).result(), theirs.submit(score, rows).result()) for _ in range(repeats)]
    speeds = [[len(rows) / seconds for seconds, _ in side] for side in zip(*turns, strict=True)]
    answers = [side[0][1] for side in zip(*turns, strict=True)]
    gap = max(abs(a - b) for one, other in zip(*answers, strict=True) for a, b in zip(one, other, strict=True))
    accuracy = [float(np.mean([int(np.argmax(s)) == r["gold"] for s, r in zip(a, rows, strict=True)])) for a in answers]
    ratio = median(speeds[0]) / median(speeds[1])

    choices = sum(len(row["choices"]) for row in rows)
    table = Table(title=f"{len(rows)} items, {choices} choices, {threads} thread(s): {ratio:.2f} times as fast")
    for column in ("", "items/s, median", "slowest", "fastest", "accuracy"):
        table.add_column(column, justify="right")
    for name, speed, share in zip(("ama_ray", f"lm-eval, batch size {batch_size}"), speeds, accuracy, strict=True):
        table.add_row(name, *(f"{value:.1f}" for value in (median(speed), min(speed), max(speed))), f"{share:.3f}")
    Console().print(table)
    result = {
        "items": len(rows),
        "choices": choices,
        "threads": threads,
        "ours_items_per_second": median(speeds[0]),
        "lm_eval_items_per_second": median(speeds[1]),
        "lm_eval_batch_size": batch_size,
        "ratio": ratio,
        "largest_difference": gap,
        "accuracy": accuracy[0],
    }
    print(json.dumps(result))
    if not gap <= TOLERANCE or accuracy[0] != accuracy[1]:
        raise SystemExit(f"the scores differ: log-likelihoods by up to {gap:.2g}, accuracies {accuracy}")


class World:
    """Made-up language: words of syllables, some of them far more frequent than others; the same every time."""

    def __init__(self) -> None:
        self._random = random.Random(0)
        onsets = (*"bdfgklmnprstvz", "sh", "ch", "th", "br", "st", "tr", "gr", "pl")
        syllables = [onset + vowel for onset in onsets for vowel in ("a", "e", "i", "o", "u", "ai", "ou")]
        words = {"".join(self._random.choices(syllables, k=self._random.randint(1, 4))) for _ in range(6000)}
        self._words = sorted(words, key=lambda word: (len(word), word))
        self._weights = list(accumulate(1 / (rank + 20) for rank in range(len(self._words))))

    def sentence(self) -> str:
        """Some words, a capital and a full stop."""
        """Six to fourteen words."""
        return " ".join(self._some(self._random.randint(6, 14))).capitalize() + "."

    def items(self, number: int) -> Rows:
        """Items of 60-120 tokens of prompt and four choices of 5-25, each with another first word."""
        return [
            {
                "prompt": " ".join(self.sentence() for _ in range(self._random.randint(5, 7))),
                "choices": [
                    " ".join([first, *self._some(self._random.randint(2, 14))]) + "."
                    for first in self._random.sample(self._words, 4)
                ],
                "gold": self._random.randrange(4),
            }
            for _ in range(number)
        ]

    def _some(self, number: int) -> list[str]:
        return self._random.choices(self._words, cum_weights=self._weights, k=number)


def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def _texts(rows: Rows) -> Iterator[str]:
    for row in rows:
        yield from (row["prompt"], *row["choices"])


_side: list[Any] = []
"""In a process: what scores rows there, and counts as `score`."""


def score(rows: Rows) -> tuple[float, list[list[float]]]:
    """Seconds, and the log-likelihood of each choice of each row."""
    start = time.perf_counter()
    answers = iter(_side[-1]([(row["prompt"], f" {choice}") for row in rows for choice in row["choices"]]))
    seconds = time.perf_counter() - start
    return seconds, [[next(answers) for _ in row["choices"]] for row in rows]


def make_checkpoint(folder: Path, texts: list[str], rows: Rows) -> int:
    """Writes a random Llama with a tokenizer trained on the texts; returns the most tokens that a row may take."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>"]
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    tokenizer.save_pretrained(folder)
    length = max(len(tokenizer.encode(f"{row['prompt']} {choice}")) for row in rows for choice in row["choices"]) + 2
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=10,
        num_attention_heads=4,
        max_position_embeddings=max(512, length),
        initializer_range=0.05,
        bos_token_id=0,
        eos_token_id=1,
    )
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    return length


def start_engine(folder: Path, threads: int, length: int, rows: Rows) -> None:
    """Makes this process score with our engine."""
    from transformers import AutoTokenizer

    from ama_ray.config import EngineSettings
    from ama_ray.data.prompting import Prompting
    from ama_ray.data.rows import Row
    from ama_ray.engine.in_process import InProcessEngine
    from ama_ray.engine.requests import Continuations

    engine = InProcessEngine(folder, EngineSettings(dtype="float32", cpus=threads), length)
    prompting = Prompting(AutoTokenizer.from_pretrained(folder))

    def loglikelihoods(pairs: list[tuple[str, str]]) -> list[float]:
        tokens = [prompting.pair(prompt, choice, Row({}, "the item")) for prompt, choice in pairs]
        return [sums[0] for sums in engine.loglikelihoods([Continuations(c, (choice,)) for c, choice in tokens])]

    _side.append(loglikelihoods)
    score(rows[:WARM_UP])


def start_lm_eval(folder: Path, threads: int, rows: Rows) -> int:
    """Makes this process score with lm-evaluation-harness; returns its batch size, the fastest."""
    import logging

    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    torch.set_num_threads(threads)
    seconds = []
    for batch_size in BATCH_SIZES:
        model = HFLM(str(folder), dtype="float32", device="cpu", batch_size=batch_size)

        def loglikelihoods(pairs: list[tuple[str, str]], model: Any = model) -> list[float]:
            instances = [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
            return [answer for answer, _ in model.loglikelihood(instances, disable_tqdm=True)]

        _side.append(loglikelihoods)
        score(rows[:WARM_UP])
        seconds.append(score(rows[:TUNING])[0])
    best = int(np.argmin(seconds))
    _side.append(_side[best])
    return BATCH_SIZES[best]


if __name__ == "__main__":
    typer.run(main)
