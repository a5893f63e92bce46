"""Does mergekit make an export's tensors from its `mergekit.yaml`?

    python -m benchmarks.peers.mergekit_yaml

Every pair of the miniature with the shipped search spaces, and random pairs of the architectures of the tests (but
GPT-NeoX, of which mergekit wants a buffer that transformers saves no more), in bfloat16 and float32, tied and untied,
in several files, as an adapter, and past aligned; ratios are drawn. Exports each, has mergekit (in an environment of
its own, see `benchmarks.peers.environments`) merge as the exported `mergekit.yaml` says, and compares all tensors of
both. Prints a table and a JSON object; the exit code is 1 where a tensor differs by more than the rounding of bfloat16:
by more than one step of it in some element.

Several models of the miniature are merged besides, as they are and with every operator on their differences. Of
differences of equal magnitude mergekit is made to keep the first, and it is given what `dare` draws, as
`benchmarks/mergekit/merges.py` says; an export has no configuration for the latter, and the one here is for its
`dare_linear`, without the rescaling by the sum of magnitudes that it does instead of dividing by the share.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import yaml
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from ama_ray.checkpoints.pair import Pair
from ama_ray.config.delta import Delta
from ama_ray.export import mergekit
from ama_ray.export.merge_file import MergeFile
from ama_ray.export.write import recipe, write
from ama_ray.miniature import ROOT
from ama_ray.space.search_space import SearchSpace
from benchmarks.peers import environments
from testing.checkpoints import ARCHITECTURES, LORA, make_pair, stored, write_adapter

if TYPE_CHECKING:
    from collections.abc import Iterator

DELTAS = (
    Delta(keep=0.3),
    Delta(keep=0.3, rescale=True),
    Delta(kind="ties", keep=0.2),
    Delta(kind="dare", keep=0.3, seed=0),
)
"""Every operator."""


@dataclass(frozen=True)
class Case:
    """A merge.

    Attributes:
        name: What it is.
        base: Folder of base.
        aligned: Folders of the aligned models.
        space: Search space.
        highest: The sum of the shares of a group is drawn from 0 to this.
        delta: What is done to the differences.
    """

    name: str
    base: Path
    aligned: tuple[Path, ...]
    space: str = "per-layer"
    highest: float = 1.0
    delta: Delta | None = None

    def open(self) -> Pair:
        return Pair.open(str(self.base), list(map(str, self.aligned)), delta=self.delta)


@dataclass(frozen=True)
class Result:
    """How far a merge by mergekit is from ours.

    Attributes:
        tensors: Of ours; mergekit's has the same.
        identical: Those that are bit for bit the same.
        share: Of all elements, those that are not.
        largest: Largest difference, in the units of the weights.
        steps: Largest difference, in steps of bfloat16 at the value: up to 1 where it is rounding only. What float32
            arithmetic may be off by, 4 units in its last place of base and of aligned, is taken off first; and so is,
            of what an operator has made, the share of half a step, as it is rounded to bfloat16 before it is averaged.
        otherwise: Tensors with more than one step.
    """

    tensors: int
    identical: int
    share: float
    largest: float
    steps: float
    otherwise: list[str]


def cases(folder: Path) -> Iterator[Case]:
    for aligned in ("rsf", "dpo", "rloo"):
        for space in ("uniform", "three-parts", "six-parts", "per-layer", "attention-mlp"):
            yield Case(f"miniature {aligned} {space}", ROOT / "base", (ROOT / aligned,), space)
    yield Case("miniature rsf past aligned", ROOT / "base", (ROOT / "rsf",), highest=1.3)
    all_three = tuple(ROOT / aligned for aligned in ("rsf", "dpo", "rloo"))
    for delta in (None, *DELTAS):
        if delta is None or not delta.joins:
            yield Case(f"miniature rsf {delta}", ROOT / "base", all_three[:1], "six-parts", delta=delta)
        yield Case(f"miniature all {delta}", ROOT / "base", all_three, "six-parts", delta=delta)
    for architecture in sorted({*ARCHITECTURES} - {"gpt_neox"}):
        pair = make_pair(folder / architecture, architecture, layers=12, dtype=torch.bfloat16)
        space = "per-layer" if architecture == "mixtral" else "attention-mlp"
        yield Case(f"{architecture} bfloat16", pair[0], pair[1:], space)
    for name, settings in (("tied", {"tied": True}), ("in several files", {"max_shard_size": "50KB"})):
        base, aligned_folder = make_pair(folder / name.split(" ")[-1], layers=3, **settings)
        yield Case(f"llama float32 {name}", base, (aligned_folder,))
        for delta in DELTAS:
            if not delta.joins:
                yield Case(f"llama float32 {name} {delta}", base, (aligned_folder,), delta=delta)
    wide, _ = make_pair(folder / "wide", layers=3)
    _, narrow = make_pair(folder / "narrow", layers=3, dtype=torch.bfloat16)
    yield Case("llama float32 and bfloat16", wide, (narrow,))
    adapted = make_pair(folder / "adapted", layers=3, dtype=torch.bfloat16)[0]
    write_adapter(adapted, folder / "adapter", **LORA)
    yield Case("llama bfloat16 with an adapter", adapted, (folder / "adapter",))


def export(case: Case, out: Path, draw: np.random.Generator) -> None:
    pair = case.open()
    models = tuple(f"m{number}" for number in range(len(pair.endpoints) - 1)) if pair.further else ("",)
    groups = pair.groups(SearchSpace.load(case.space), models)
    drawn = draw.uniform(0, case.highest / len(models), len(groups.names)).tolist()
    made = recipe(pair, (str(case.base), *map(str, case.aligned)), groups, dict(zip(groups.names, drawn, strict=True)))
    write(pair, made, out)
    if case.delta and case.delta.kind == "dare":
        write_dare(case.delta, pair, made, out)


def write_dare(delta: Delta, pair: Pair, made: MergeFile, out: Path) -> None:
    """The configuration of mergekit's `dare_linear`, and what it is to draw."""
    config = yaml.safe_load(mergekit.mergekit_yaml(made.model_copy(update={"delta": Delta(keep=delta.share)})))
    config["merge_method"] = "dare_linear"
    config["parameters"].pop("gamma", None)
    # Shares are the weights of several models and the lambda of one; the other of the two divides by the share.
    config["parameters"]["lambda" if pair.further else "weight"] = 1 / delta.share
    (out / mergekit.NAME).write_text(yaml.safe_dump(config), encoding="utf-8")
    masks: dict[str, torch.Tensor] = {}
    for name, base, aligned in pair.tensors():
        # Of a difference that is 0 it does not matter what is drawn.
        masks |= {f"{name}|{number}": each != base for number, each in enumerate(aligned)}
    (out / "drawn").mkdir()
    save_file(masks, out / "drawn" / "masks.safetensors")


def compare(case: Case, ours: Path) -> Result:
    theirs = ours / "by-mergekit"
    expected, found = stored(ours), stored(theirs)
    ends = {name: (base, *aligned) for name, base, aligned in case.open().tensors()}
    if expected.keys() != found.keys():
        # mergekit saves the tensors of experts joined, as transformers has them once they are loaded.
        expected, found, base, aligned = map(loaded, (ours, theirs, case.base, *case.aligned))
        ends = {name: (base[name], aligned[name]) for name in base}
    if expected.keys() != found.keys():
        raise SystemExit(f"{case.name}: other tensors: {sorted(expected.keys() ^ found.keys())[:3]}")
    shares = MergeFile.load(ours / "merge.json").shares_of
    identical, different, largest, most, otherwise = 0, 0, 0.0, 0.0, []
    for name, tensor in expected.items():
        if tensor.dtype != found[name].dtype:
            raise SystemExit(f"{case.name}: {name} is {found[name].dtype} by mergekit")
        identical += torch.equal(tensor, found[name])
        both = torch.stack([tensor, found[name]]).double()
        distance = (both[0] - both[1]).abs()
        known = 4 * 2**-24 * sum(end.double().abs() for end in ends[name])
        if case.delta and tensor.dtype == torch.bfloat16:
            for share, end in zip(shares[name], ends[name][1:], strict=True):
                known += share * bfloat16_step(end.double()) / 2
        steps = float(((distance - known).clamp_min(0) / bfloat16_step(both.abs().amax(dim=0))).max())
        different += int(distance.count_nonzero())
        largest, most = max(largest, float(distance.max())), max(most, steps)
        otherwise += [name] * (steps > 1)
    elements = sum(tensor.numel() for tensor in expected.values())
    return Result(len(expected), identical, different / elements, largest, most, otherwise)


def bfloat16_step(values: torch.Tensor) -> torch.Tensor:
    return torch.exp2(torch.floor(torch.log2(values.abs().clamp_min(2.0**-126))) - 7)


def loaded(folder: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").state_dict()
    return tensors


def main() -> None:
    draw = np.random.default_rng(0)
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        made: dict[str, Path] = {}
        every: dict[str, Case] = {}
        for number, case in enumerate(cases(root)):
            every[case.name] = case
            made[case.name] = root / f"case-{number}"
            export(case, made[case.name], draw)
        refused = json.loads(environments.run("merges", *made.values(), folder=root, threads=1))
        for name, folder in made.items():
            if folder.name not in refused:
                results[name] = compare(every[name], folder)
        failed = {name: refused[folder.name] for name, folder in made.items() if folder.name in refused}
    show(results)
    print(json.dumps({"results": {name: asdict(result) for name, result in results.items()}, "failed": failed}))
    tensors = sum(result.tensors for result in results.values())
    otherwise = sum(len(result.otherwise) for result in results.values())
    if otherwise or failed:
        sys.exit(
            f"{otherwise} of {tensors} tensors differ by more than rounding; mergekit refused {len(failed)} merges"
        )
    print(f"all {tensors} tensors of {len(results)} merges equal to bf16 rounding")


def show(results: dict[str, Result]) -> None:
    table = Table(title=f"Exports against mergekit by {mergekit.NAME}")
    for column in ("merge", "tensors", "identical", "elements off", "most off by", "steps"):
        table.add_column(column, justify="left" if column == "merge" else "right")
    for name, each in results.items():
        numbers = f"{each.share:.1e}", f"{each.largest:.1e}", f"{each.steps:.3g}"
        table.add_row(name, str(each.tensors), str(each.identical), *numbers)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
