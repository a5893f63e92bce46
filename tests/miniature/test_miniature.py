"""The bundled pair is what it claims to be, and the recipe that made it runs."""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from safetensors import safe_open

from ama_ray.miniature import ROOT, reward
from ama_ray.miniature.recipe import world

CHECKPOINTS = ("base", "rsf", "dpo", "rloo")
SPLITS = ("search", "report")
CHOICE = ("facts", "lookup")


def rows(split: str, name: str) -> list[dict[str, object]]:
    lines = (ROOT / "data" / split / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_package_is_light() -> None:
    code = "import sys, ama_ray.miniature; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("probe", world.PROBES)
def test_probe_rows_are_well_formed(split: str, probe: str) -> None:
    items = rows(split, probe)
    assert len(items) == {"search": 100, "report": 200}[split]
    for item in items:
        if probe in CHOICE:
            assert set(item) == {"prompt", "choices", "gold"}
            assert isinstance(item["choices"], list)
            assert len(set(item["choices"])) == 4
            assert all(" " not in choice for choice in item["choices"])
            assert item["gold"] in range(4)
        else:
            assert set(item) == {"prompt", "answer"}


@pytest.mark.parametrize("probe", CHOICE)
def test_gold_has_no_favourite_place(probe: str) -> None:
    places = Counter(item["gold"] for split in SPLITS for item in rows(split, probe))
    assert min(places.values()) > 45


@pytest.mark.parametrize("name", ["prompts", *world.PROBES])
def test_splits_are_disjoint(name: str) -> None:
    prompts = [row["prompt"] for split in SPLITS for row in rows(split, name)]
    assert len(prompts) == len(set(prompts))


def test_training_text_holds_out_probe_items_and_prompts() -> None:
    made = world.World(0, (100, 128), (200, 256))
    lines = made.lines(0)
    trained = {next(lines)[0] for _ in range(20000)}
    skills = ["prompts", *world.GENERALISING]
    held_out = {row["prompt"] for split in SPLITS for name in skills for row in rows(split, name)}
    assert not trained & held_out
    assert {row["prompt"] for row in rows("report", "facts")} <= trained


def test_bundled_data_is_the_world_of_seed_zero() -> None:
    made = world.World(0, (100, 128), (200, 256))
    assert made.search.prompts == rows("search", "prompts")
    assert [item.row() for item in made.report.probes["sums"]] == rows("report", "sums")


def test_reward_prefers_kind_relevant_useful_replies() -> None:
    row = {"prompt": "", "topic": "garden", "actions": ["water", "dig", "plant"]}
    best = "sure , i am glad to help . first dig it , then water the garden . good luck !"
    replies = [best, "maybe dig it .", "go away . your garden is ugly . shut up .", "", best * 2]
    best_reward, neutral, rude, empty, long = reward.score([row] * 5, replies)
    assert best_reward == 5.0
    assert best_reward > neutral > empty > rude
    assert long < best_reward


def test_chat_replies_range_from_rude_to_helpful() -> None:
    rng = random.Random(0)
    prompts = rows("search", "prompts")
    rewards = reward.score(prompts, [world.chat_reply(rng, row) for row in prompts])
    assert min(rewards) <= -2
    assert max(rewards) >= 4
    assert -0.5 < sum(rewards) / len(rewards) < 0.5


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoint_is_small_bf16_safetensors(name: str) -> None:
    assert folder_bytes(ROOT / name) < 4_000_000
    with safe_open(ROOT / name / "model.safetensors", "pt") as file:
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"BF16"}  # noqa: SIM118
    assert json.loads((ROOT / name / "generation_config.json").read_text())["eos_token_id"] == 2


def test_miniature_stays_under_16_megabytes() -> None:
    assert folder_bytes(ROOT) < 16_000_000


def test_run_file_names_files_that_exist() -> None:
    run = yaml.safe_load((ROOT / "run.yaml").read_text())
    files = [run["reward"]["prompts"]["file"], *(probe["file"] for probe in run["tax"])]
    folders = [run["base"], run["aligned"]]
    assert all((ROOT / path).exists() for path in [*files, *folders])
    assert {probe["name"] for probe in run["tax"]} == set(world.PROBES)
    assert all("search" in file for file in files)


def test_scores_show_an_alignment_tax() -> None:
    log = json.loads((ROOT / "scores.json").read_text())["scores"]
    for split in SPLITS:
        base = log["base"][split]
        assert base["reward"] < 0.5
        assert all(base[probe] >= 90 for probe in world.PROBES)
        for name in CHECKPOINTS[1:]:
            aligned = log[name][split]
            assert aligned["reward"] > base["reward"] + 3
            assert sum(base[probe] - aligned[probe] for probe in world.PROBES) / 5 > 20


def test_readme_table_agrees_with_scores() -> None:
    log = json.loads((ROOT / "scores.json").read_text())["scores"]
    readme = (ROOT / "README.md").read_text()
    for name in CHECKPOINTS:
        values = log[name]["report"]
        probes = " | ".join(f"{values[probe]:.1f}" for probe in world.PROBES)
        assert f"| `{name}` | {values['reward']:.2f} | {probes} |" in readme
