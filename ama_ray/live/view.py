"""`LiveView`: a search on a terminal, drawn again and again in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeGuard

from rich import box
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ama_ray.live.scatter import scatter
from ama_ray.live.watched import Watched
from ama_ray.report.formatting import duration
from ama_ray.report.text.terminal import harmless
from ama_ray.tuning.events import Message, StageStarted, TrialFinished

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ama_ray.pareto.pareto_set import ParetoSet
    from ama_ray.tuning.events import Event

_PER_SECOND = 2
_ROWS = 8
_BESIDE = 92
"""Columns of a terminal from which the scatter finds room beside the table."""


def is_kept(event: Event) -> TypeGuard[Message | TrialFinished]:
    """Whether the line of an event stays above a view: it is no trial that was scored, which the view shows."""
    return isinstance(event, Message) or (isinstance(event, TrialFinished) and not event.trial.scores)


class LiveView:
    """Shows a search while it is entered, and leaves nothing behind but what was said besides the trials."""

    def __init__(self, console: Console, watched: Watched | None = None) -> None:
        """Shows on a console."""
        self._console = console
        self._watched = watched or Watched()
        self._spinner = Spinner("dots")
        self._live = Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._watched.hear(StageStarted("loading the program"))
        self._live.start(refresh=True)
        # A second signal, or the time limit after a first one, ends the process without leaving here.
        self._console.show_cursor(True)
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def hear(self, event: Event) -> None:
        """Takes in an event; prints above the view what was said, but not about trials that were scored."""
        self._watched.hear(event)
        if is_kept(event):
            self._console.print(harmless(event.line), highlight=False, markup=False, soft_wrap=True)

    def render(self) -> RenderableType:
        """The view as it is now."""
        watched = self._watched
        parts: list[RenderableType] = []
        if watched.doing:
            self._spinner.update(text=Text(f"{watched.doing}, {duration(watched.clock() - watched.doing_since)}"))
            parts.append(self._spinner)
        if watched.config is not None:
            parts += [self._head(watched.config.trials), Text(self._counts())]
        if watched.line:
            parts.append(Text(self._work()))
        if watched.so_far is not None and watched.so_far.front:
            parts.append(self._front(watched.so_far))
        if watched.line:
            parts.append(Text(harmless(watched.line), style="dim", overflow="ellipsis", no_wrap=True))
        if watched.stopping:
            parts.append(Text("stopping in good order; Ctrl+C again stops now", style="bold"))
        return Group(*parts)

    def _head(self, trials: int) -> RenderableType:
        watched = self._watched
        head = Table.grid(padding=(0, 2, 0, 0))
        left = watched.time_left
        told = f"about {duration(left[0])} ± {duration(left[1])} left" if left else "time left: not known yet"
        at_most = "at most " if watched.config and watched.config.stop and left else ""
        head.add_row(
            ProgressBar(total=trials, completed=watched.searched, width=16),
            f"{watched.searched} of {trials} trials",
            f"{duration(watched.clock() - watched.began)} so far",
            at_most + told,
        )
        return head

    def _counts(self) -> str:
        watched = self._watched
        counts = [
            f"{len(watched.running)} running",
            f"{watched.ended['complete']} complete",
            f"{watched.ended['stopped']} stopped early",
            f"{watched.ended['failed']} failed",
        ]
        return ", ".join(counts) + (f"; {watched.reported} scored on the report split" if watched.reported else "")

    def _work(self) -> str:
        watched, parts = self._watched, []
        if watched.so_far is not None:
            # Of uniform averaging, the search has three points of eleven: the report compares with all of them.
            volume = f"hypervolume {watched.so_far.hypervolume:.3f}"
            parts.append(volume if not watched.so_far.no_trade else "no hypervolume yet")
        parts.append(_count(watched.engines, "engine") + " on " + _count(watched.nodes, "node"))
        whole = sum(watched.seconds.values())
        if whole:
            parts.append(", ".join(f"{stage} {spent / whole:.0%}" for stage, spent in watched.seconds.items()))
        return "; ".join(parts)

    def _front(self, pareto: ParetoSet) -> RenderableType:
        small = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        small.add_column("#", justify="right", no_wrap=True)
        for name in pareto.objectives:
            small.add_column(f"{name} {'↓' if name == 'tax' else '↑'}", justify="right", no_wrap=True)
        small.add_column("mean ratio", justify="right", no_wrap=True)
        rows = _spread(len(pareto.front), _ROWS)
        for trial in (pareto.front[row] for row in rows):
            estimates = (f"{each.value:z.3f} ± {each.se:.3f}" for each in trial.objectives.values())
            small.add_row(str(trial.number), *estimates, f"{trial.mean_ratio:.2f}")
        if len(rows) < len(pareto.front):
            small.caption = f"{len(rows)} of {len(pareto.front)} points"
        if self._console.width < _BESIDE:
            return small
        both = Table.grid(padding=(0, 4, 0, 0))
        both.add_row(small, scatter(pareto))
        return both


def _spread(count: int, most: int) -> list[int]:
    """Positions spread evenly, both ends among them."""
    if count <= most:
        return list(range(count))
    return [round(step * (count - 1) / (most - 1)) for step in range(most)]


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
