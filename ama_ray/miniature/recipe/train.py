"""Makes the miniature again: `python -m ama_ray.miniature.recipe.train [--out DIR] [--seed N]`.

About half an hour on one core. The same seed, number of threads (`OMP_NUM_THREADS`),
version of torch and machine should give the same weights.
"""

import json
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from ama_ray.miniature import ROOT
from ama_ray.miniature.recipe.align import Settings, align
from ama_ray.miniature.recipe.evaluate import scores
from ama_ray.miniature.recipe.pretrain import pretrain
from ama_ray.miniature.recipe.tokenizer import build_tokenizer
from ama_ray.miniature.recipe.world import World, WorldSplit


@dataclass(frozen=True)
class Recipe:
    """The sizes of everything that is made; the defaults made the bundled files.

    Attributes:
        search: Items per probe, and chat prompts, of the search split.
        report: The same of the report split.
        steps: Optimizer steps of the base.
        alignments: How each aligned checkpoint is trained.
    """

    search: tuple[int, int] = (100, 128)
    report: tuple[int, int] = (200, 256)
    steps: int = 2200
    alignments: dict[str, Settings] = field(
        default_factory=lambda: {
            "rsf": Settings(rounds=30, prompts=64, samples=8, learning_rate=1.5e-3),
            "dpo": Settings(rounds=60, prompts=32, samples=8, learning_rate=8e-4, strength=0.1),
            "rloo": Settings(rounds=60, prompts=32, samples=6, learning_rate=7e-4, strength=0.02),
        }
    )


def build(out: Path, recipe: Recipe, seed: int) -> None:
    """Write data, checkpoints and `scores.json`.

    Args:
        out: Folder to write into; files of the same names are replaced.
        recipe: The sizes.
        seed: Seed of the world, the weights and the samples.
    """
    world = World(seed, recipe.search, recipe.report)
    for name, split in (("search", world.search), ("report", world.report)):
        write_split(out / "data" / name, split)
    tokenizer = build_tokenizer()
    torch.manual_seed(seed)
    seconds = {}
    start = time.perf_counter()
    save(pretrain(tokenizer, world.lines(seed), recipe.steps), tokenizer, out / "base")
    seconds["base"] = time.perf_counter() - start
    for name, settings in recipe.alignments.items():
        start = time.perf_counter()
        model, base = load(out / "base"), load(out / "base")
        align(name, model, base, tokenizer, world.prompts, settings=settings, seed=seed)
        save(model, tokenizer, out / name)
        seconds[name] = time.perf_counter() - start
    log = {
        "seed": seed,
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
        "threads": torch.get_num_threads(),
        "train_seconds": {name: round(value) for name, value in seconds.items()},
        "scores": {name: score_splits(out, name, tokenizer) for name in seconds},
    }
    (out / "scores.json").write_text(json.dumps(log, indent=1) + "\n")
    print(json.dumps(log["scores"], indent=1))


def score_splits(out: Path, name: str, tokenizer: PreTrainedTokenizerFast) -> dict[str, dict[str, float]]:
    """The scores of one saved checkpoint on both splits, rounded to three decimals."""
    model = load(out / name)
    return {
        split: {key: round(value, 3) for key, value in scores(model, tokenizer, out / "data" / split).items()}
        for split in ("search", "report")
    }


def write_split(folder: Path, split: WorldSplit) -> None:
    """Write one split as `prompts.jsonl` and one jsonl per probe."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: [item.row() for item in items] for name, items in split.probes.items()}
    for name, rows in {"prompts": split.prompts, **files}.items():
        lines = [json.dumps(row) + "\n" for row in rows]
        (folder / f"{name}.jsonl").write_text("".join(lines))


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save a checkpoint in bfloat16; the model given is rounded in place."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load(folder: Path) -> LlamaForCausalLM:
    """Load a checkpoint's rounded weights in float32, ready for inference.

    The Llama has no dropout, so the same mode serves training.
    """
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def main(
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = ROOT,
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
) -> None:
    """Train the miniature again: data, base, three alignments, scores."""
    build(out, Recipe(), seed)


if __name__ == "__main__":
    typer.run(main)
