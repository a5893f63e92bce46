"""The adapter, the run file, and the table with its points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import yaml

from ama_ray.checkpoints.pair import Pair
from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from testing.checkpoints import make_pair
from testing.real_pair import adapter, run_file, table
from testing.real_pair.folder import Made
from testing.real_pair.points import UNIFORM, points
from testing.real_pair.table import Table

if TYPE_CHECKING:
    from pathlib import Path


def test_an_adapter_of_full_rank_is_aligned_but_for_norms_and_embeddings(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, tied=True)
    share = adapter.make(base, aligned, tmp_path / "adapter")
    whole = {name: after for name, _, (after,) in Pair.open(str(base), str(aligned)).tensors()}
    adapted = Pair.open(str(base), str(tmp_path / "adapter"))
    for name, before, (after,) in adapted.tensors():
        expected = whole[name] if "proj" in name else before
        assert torch.allclose(after, expected, atol=1e-5), name
    assert 0.3 < share < 1


def test_factors_are_the_nearest_of_their_rank() -> None:
    generator = torch.Generator().manual_seed(0)
    change = torch.randn((12, 20), generator=generator)
    down, up = adapter.factors(change, 3)
    left_out = torch.linalg.svdvals(change)[3:]
    assert (change - up @ down).square().sum().item() == pytest.approx(left_out.square().sum().item(), rel=1e-4)


def test_the_run_file_is_one_and_names_what_was_made(tmp_path: Path) -> None:
    made = Made(tmp_path / "pair")
    made.folder.mkdir()
    run_file.make(made, tmp_path / "data")
    config = RunConfig.load(made.run_file)
    assert config.base == str(tmp_path / "pair" / "base")
    assert config.replies_rewards[0].prompts.chat
    assert len(config.tax) == len(run_file.PROBES)
    assert all(isinstance(each, dict) for each in yaml.safe_load(made.run_file.read_text())["tax"])


def test_points_are_ratios_of_all_sorts_and_differ() -> None:
    made = points(32)
    assert [point.name for point in made[:2]] == ["uniform-0.0", "uniform-1.0"]
    assert len({point.name for point in made}) == len({point.ratios for point in made}) == len(made)
    for point in made:
        assert len(point.ratios) == 32
        assert all(0 <= ratio <= 1 for ratio in point.ratios)
    sorts = [point.name.partition("-")[0] for point in made]
    assert {sort: sorts.count(sort) for sort in ("uniform", "profile", "block")} == {
        "uniform": UNIFORM,
        "profile": 50,
        "block": 16,
    }
    # Neighbouring layers of a profile are close, far ones need not be.
    profiles = np.array([point.ratios for point in made if point.name.startswith("profile")])
    assert np.abs(np.diff(profiles)).mean() < 0.25 * np.abs(profiles[:, :1] - profiles[:, 16:]).mean()
    assert points(32, seed=1)[UNIFORM] != made[UNIFORM]


def test_a_table_is_its_points_in_their_order(tmp_path: Path) -> None:
    wanted = points(3)[:3]
    for number, point in enumerate(reversed(wanted)):
        items = {name: np.full((size, 1), number + size) for name, size in (("reward", 4), ("piqa", 5))}
        table.write(tmp_path, {"a": 1.0, "b": 2.0, "c": 3.0}, point, items)
    (tmp_path / "block-00-0.partial").write_bytes(b"half of one")
    found = Table.read(tmp_path)
    assert found.names == tuple(point.name for point in wanted)
    assert found.groups == ("a", "b", "c")
    assert np.array_equal(found.ratios, [point.ratios for point in wanted])
    assert found.items["piqa"].shape == (3, 5, 1)
    assert found.items["reward"][:, 0, 0].tolist() == [6, 5, 4]
    assert found.moved.tolist() == [1, 2, 3]


def test_a_stage_that_was_left_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make run-file"):
        Made(tmp_path).need(Made(tmp_path).run_file, "run-file")
    with pytest.raises(UserError, match="has no points"):
        Table.read(tmp_path)
