"""`ama-ray init`: a run file from four questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ama_ray.cli.console import say
from ama_ray.errors import UserError, did_you_mean
from ama_ray.storage.names import RUN

BASE, ALIGNED = "path/or/hub-id-before-RLHF", "path/or/hub-id-after-RLHF"
PROMPTS, SCORER, PROBES = "prompts.jsonl", "reward.py:score", "arc_easy,squad"
_FILE = """\
# A search of ama-ray: `ama-ray check {file}`, then `ama-ray search {file}`. Relative paths are relative to this file.

base: {base}  # before RLHF: a folder or hub id of a Hugging Face checkpoint in safetensors
aligned: {aligned}  # after RLHF: same architecture, same or more tokens; or a LoRA adapter over base
space: per-layer  # a ratio for each layer; or uniform, three-parts, six-parts, attention-mlp, or a file

reward:
{reward}
  sampling: {{max_tokens: 64, temperature: 1.0, n: 2}}  # n replies to each prompt

tax:  # what alignment may cost: benchmarks, as presets or from files of your own (docs/objectives.md)
{tax}

trials: 40  # of the search, base, aligned and the uniform point between included
seed: 0
out: {out}  # the folder for the results
"""
_FUNCTION = """\
  kind: function
  prompts: {{file: {prompts}, field: prompt}}  # JSON lines, each with this field
  scorer: {scorer}  # score(rows: list[dict], replies: list[str]) -> list[float]"""
_MODEL = """\
  kind: model
  prompts: {{file: {prompts}, field: prompt}}  # JSON lines, each with this field
  model: {scorer}  # a sequence classifier with one output"""


def init(  # noqa: PLR0917
    file: Annotated[Path, typer.Argument(help="The run file to write.")] = Path(RUN),
    base: Annotated[str | None, typer.Option(help="The checkpoint before RLHF.")] = None,
    aligned: Annotated[str | None, typer.Option(help="The checkpoint after RLHF.")] = None,
    prompts: Annotated[str | None, typer.Option(help="The reward prompts (JSON lines).")] = None,
    reward: Annotated[str | None, typer.Option(help="file.py:function, or a reward model.")] = None,
    probes: Annotated[str | None, typer.Option(help="Presets for the tax, with commas between.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: take the default for what is not given.")] = False,
) -> None:
    """Write a run file from four questions. Example: ama-ray init run.yaml."""
    if file.exists():
        raise UserError(f"{file}: is there already and stays as it is; name another file, or remove this one.")

    def ask(question: str, given: str | None, default: str) -> str:
        return given or (default if yes else str(typer.prompt(question, default=default)))

    answers = {
        "base": ask("1. The checkpoint before RLHF (a folder or hub id)", base, BASE),
        "aligned": ask("2. The checkpoint after RLHF (a folder or hub id)", aligned, ALIGNED),
        "prompts": ask("3. The reward: its prompts (JSON lines with a field `prompt`)", prompts, PROMPTS),
        "scorer": ask("   and its scorer (file.py:function), or a reward model (a folder or hub id)", reward, SCORER),
    }
    text = _filled(file, answers, ask("4. The tax: presets, with commas between", probes, PROBES))
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror}); name another place.") from None
    say(f"{file} is written; see whether all is in order by: ama-ray check {file}")


def _filled(file: Path, answers: dict[str, str], probes: str) -> str:
    import yaml

    from ama_ray.config import RunConfig
    from ama_ray.probes.presets.registry import PRESETS

    names = [name.strip() for name in probes.split(",") if name.strip()]
    if unknown := [name for name in names if name not in PRESETS]:
        known = f"the presets are {', '.join(sorted(PRESETS))}{did_you_mean(unknown[0], PRESETS)}"
        raise UserError.of("--probes", [f"there is no preset {unknown[0]!r}; {known}"])
    quoted = {name: _quoted(answer) for name, answer in answers.items()}
    kind = _FUNCTION if ".py:" in answers["scorer"] else _MODEL
    tax = "\n".join(f"  - {{preset: {name}}}" for name in names)
    text = _FILE.format(**quoted, file=file, reward=kind.format(**quoted), tax=tax, out=_quoted(f"runs/{file.stem}"))
    RunConfig.parse(yaml.safe_load(text), str(file), file.resolve().parent)
    return text


def _quoted(text: str) -> str:
    """As YAML takes it, whatever characters a path has."""
    plain = text.replace("/", "").replace("-", "").replace("_", "").replace(".", "").replace(":", "").isalnum()
    return text if plain and not text.endswith(":") and not text.isdecimal() else json.dumps(text, ensure_ascii=False)
