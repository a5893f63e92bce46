"""`ama-ray plan`: how many items a run would need."""

from __future__ import annotations

from ama_ray.cli.console import JsonResult, RunFolders, console, one_run, print_json, say
from ama_ray.errors import UserError


def plan(run: RunFolders = None, as_json: JsonResult = False) -> None:
    """How many prompts and items would show what alignment won and cost. Example: ama-ray plan runs/my-run."""
    from ama_ray.evaluation.evaluation import SPLITS
    from ama_ray.report.json_fields import trade_fields
    from ama_ray.report.text.trade import why_unclear
    from ama_ray.report.text.trade_tables import after
    from ama_ray.run import StoredRun

    stored = StoredRun.open(one_run(run))
    tests = {split: test for split in SPLITS if (test := stored.trade_test(split))}
    if not tests:
        raise UserError(f"{stored.folder}: base and aligned are not both scored; plan wants the items of both.")
    if as_json:
        print_json({split: trade_fields(test) for split, test in tests.items()})
        return
    for split, test in tests.items():
        for part in after(test, split, stored.tokens if split == "search" else {}):
            console.print(part)
        say(
            "Base and aligned differ beyond error, in every reward and in the tax."
            if test.clear
            else f"{why_unclear(test)}."
        )
