"""`ama-ray chat`: a conversation with a point of a run, on a server of its own or one that runs already."""

from __future__ import annotations

from typing import Annotated

import typer

from ama_ray.cli.commands.serve import KEY_OPTION, KeyVariable
from ama_ray.cli.console import RunFolders, one_run, say
from ama_ray.environment import key_of
from ama_ray.errors import UserError


def chat(  # noqa: PLR0917
    run: RunFolders = None,
    point: Annotated[str, typer.Option(help="As ama-ray serve names it: knee, trial-17, base, ...")] = "knee",
    vs: Annotated[str | None, typer.Option(help="Another point, which answers too.")] = None,
    url: Annotated[str | None, typer.Option(help="Of a running ama-ray serve; default: one is started.")] = None,
    api_key_env: KeyVariable = None,
    max_tokens: Annotated[int | None, typer.Option(help="Most tokens of a reply; default: the run's.", min=1)] = None,
    temperature: Annotated[float | None, typer.Option(help="Of sampling; default: the run's.", min=0)] = None,
) -> None:
    """Talk to a point, and move the dial as you talk. Example: ama-ray chat runs/my-run --point knee."""
    from contextlib import nullcontext

    from ama_ray.cli.chat.client import ChatClient
    from ama_ray.cli.chat.loop import talk
    from ama_ray.cli.chat.own_server import own_server
    from ama_ray.pareto import named_points
    from ama_ray.report.text.point import summed_up
    from ama_ray.run import StoredRun

    if api_key_env and not url:
        raise UserError(f"{KEY_OPTION}: is for a server that runs already; name its address with --url.")
    key = key_of(api_key_env, KEY_OPTION)
    folder = one_run(run)
    stored = StoredRun.open(folder)
    served = named_points.served(stored.pareto)
    # The server may be of an earlier state of the run, or an old one of another: it is asked again.
    for name in (point, *([vs] if vs else ())):
        if name not in served and not url:
            named_points.point(stored.pareto, name)  # says what there is
            raise UserError(f"{name}: is not served; name one of {', '.join(served)}.")
    if not stored.config.replies_rewards:
        raise UserError(f"{folder}: its rewards have no prompts, whose frame and sampling a chat would take.")
    reward = stored.config.replies_rewards[0]
    with nullcontext(url) if url else own_server(folder, say) as address:
        client = ChatClient(
            address,
            key,
            max_tokens=max_tokens or reward.sampling.max_tokens,
            temperature=reward.sampling.temperature if temperature is None else temperature,
        )
        with client:
            scores = {name: summed_up(stored.pareto, trial) for name, trial in served.items()}
            talk(client, point, reward.prompts, vs, scores=scores)
