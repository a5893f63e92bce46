"""What `ama_ray` offers to Python: `search()`, and the `Run` that it returns."""

from __future__ import annotations

import base64
import html
import io
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ama_ray.pareto import named_points
from ama_ray.run import StoredRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Unpack

    from datasets import Dataset
    from matplotlib.figure import Figure

    from ama_ray.config import RunConfig
    from ama_ray.config.keywords import Keywords
    from ama_ray.scores.trial import Trial
    from ama_ray.storage.run_folder import Resume
    from ama_ray.tuning.events import Listener

_WIDTH = 100


class Run(StoredRun):
    """A run, finished or not: its fronts, and what to do with their points. `Run.open(folder)` reads one."""

    @property
    def front(self) -> tuple[Trial, ...]:
        """The points of the front: on the report split, once that was scored."""
        return self.pareto.front

    def plot(self) -> Figure:
        """Reward against tax, as in `front.png`: a figure of matplotlib, which notebooks show."""
        from ama_ray.report.plots.front import front_figure

        return front_figure(self)

    def pick(
        self,
        how: Literal["knee"] | None = None,
        *,
        max_tax: float | None = None,
        min_reward: float | Mapping[str, float] | None = None,
        near: Mapping[str, float] | None = None,
        max_tokens: float | None = None,
    ) -> Trial:
        """Picks one point of the front; see `ama_ray.pareto.pareto_set.ParetoSet.pick`.

        Args:
            how: `knee`, also under one constraint.
            max_tax: In points of the metrics (0-1): 0.02 is two points out of a hundred.
            min_reward: In units of the reward; by name where there are several: `{"helpful": 3.0}`.
            near: Values by objective: `{"reward": 3.8, "tax": 0.05}`; an objective that it leaves out does not count.
            max_tokens: Mean tokens per reply, of the reward or probe that the run file's `tokens` counts.

        Raises:
            UserError: There is no such point.
        """
        return self.pareto.pick(how, max_tax=max_tax, min_reward=min_reward, near=near, max_tokens=max_tokens)

    def point(self, name: str | int) -> Trial:
        """A trial by its name: `knee`, `base`, `aligned`, `uniform-0.5`, or the number of any trial.

        Raises:
            UserError: There is no such trial.
        """
        return named_points.point(self.pareto, name)

    def export(self, point: Trial | int | str, out: str | Path) -> Path:
        """Writes the averaged checkpoint of a trial, on the front or not, so that it can be published.

        Beside the weights: `README.md`, a model card; `merge.json`, from which `ama-ray export --from` makes the same
        weights; and `mergekit.yaml`, the same merge for mergekit, where that can make it.

        Args:
            point: A trial, or its name as `point` takes it.
            out: The folder to write.

        Returns:
            The folder.

        Raises:
            UserError: There is no such trial, it failed, or writing is refused.
        """
        from ama_ray.export import export_point

        return export_point(self, point, Path(out))

    def to_dataset(self, points: Iterable[Trial | int | str] | None = None) -> Dataset:
        """What was asked, answered and scored, item by item: a row per point, split, reward or probe, and item.

        The columns are `point` (the number of the trial), `split`, `source` (the reward or probe), `item` (from 0, in
        the same order for every point), `prompt`, `gold` (what is right), `answer` and `score`: of a reward the mean
        score of the replies to a prompt, of a probe its metric of the item alone. Texts are kept of the report split;
        on the search split they are None, and so are those of a command.

        Args:
            points: Trials, or their names as `point` takes them, such as `run.front`; default: all that are complete.

        Raises:
            UserError: There is no such trial, or the run's folder has lost items.
        """
        from ama_ray.report.item_table import item_table

        named = (
            self.trials
            if points is None
            else [self.point(each) if isinstance(each, int | str) else each for each in points]
        )
        return item_table(self, named)

    def _repr_html_(self) -> str:
        """The front as a table, a sentence and a picture, for notebooks."""
        from rich.console import Console

        from ama_ray.report.plots.front import plot_front
        from ama_ray.report.text.front_table import front_table
        from ama_ray.report.text.summary import sentence

        told = f"<p>{html.escape(sentence(self))}</p>"
        if not self.pareto.front:
            return told
        console = Console(record=True, file=io.StringIO(), width=_WIDTH, force_jupyter=False)
        console.print(front_table(self))
        table = console.export_html(inline_styles=True, code_format='<pre style="line-height: 1.2">{code}</pre>')
        picture = io.BytesIO()
        plot_front(self, picture)
        encoded = base64.b64encode(picture.getvalue()).decode()
        return f'{table}{told}<img alt="reward against tax" width="640" src="data:image/png;base64,{encoded}">'


def search(
    run: str | Path | RunConfig | None = None,
    *,
    resume: Resume = "auto",
    progress: Callable[[str], None] | None = None,
    listen: Listener | None = None,
    began: float | None = None,
    **fields: Unpack[Keywords],
) -> Run:
    """Searches the ratios of a pair and returns the run, with its front.

    Args:
        run: A run file or a `RunConfig`; None where all is given as keyword arguments.
        resume: Where `out` holds a run already: `auto` goes on with it, `never` refuses. `must` refuses where it holds
            none.
        progress: Called with a line of text as the run proceeds; by default notebooks show the search in place, and
            nothing is said elsewhere.
        listen: Called with every event instead (`ama_ray.tuning.events`), where lines are not enough.
        began: `time.perf_counter()` of when the user asked, where imports since then are to count; default: now.
        fields: Fields of `RunConfig`; they replace those of a run file. Within `reward` and `tax`, rows may stand for
            `prompts`, `file` and `report_file`: a list of mappings or a `datasets.Dataset`; and anything that can be
            called for `scorer`. `sampler` may be a sampler, and `callbacks` Ray Tune's. `ama_ray.storage.given` says
            how the folder keeps them.

    Returns:
        The run, with every trial. The folder `out` has `trials.csv`, `front.csv`, `front.png`, `convergence.csv`,
        `convergence.png`, `summary.json`, `report.html` and `run.yaml` as resolved.

    Raises:
        UserError: Something about the run is off; one sentence that names it.
        Interrupted: SIGINT or SIGTERM came (a `KeyboardInterrupt`); what was finished is on disk, and the same call
            goes on with it. Its `run` is the one so far, where there is one.
    """
    from ama_ray.tuning import search as tuning

    with ExitStack() as stack:
        if progress is None and listen is None:
            from ama_ray.live.notebook import NotebookView, in_notebook

            listen = stack.enter_context(NotebookView()).hear if in_notebook() else None
        found = tuning.search(run, resume=resume, progress=progress, listen=listen, began=began, kind=Run, **fields)
    assert isinstance(found, Run)
    return found
