"""`dotted`: a sampler by the dotted path of its class, tried out before anything is started."""

from __future__ import annotations

import copy
import inspect
import warnings
from importlib import import_module

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection

from ama_ray.errors import UserError, one_line


def dotted(path: str, objectives: int, seed: int) -> BaseSampler:
    """Makes a sampler of any class, Optuna's or another's.

    Args:
        path: Such as `optuna.samplers.QMCSampler`.
        objectives: How many; a sampler that refuses so many is refused.
        seed: Of the sampler, if its class takes one.

    Raises:
        UserError: There is no such class, it is no sampler, or it does not work with these objectives.
    """
    found = _find(path)
    try:
        seeded = {"seed": seed} if "seed" in inspect.signature(found).parameters else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # The one tried out is not the one returned: samplers remember their study.
            trial, sampler = found(**seeded), found(**seeded)
    except Exception as error:
        raise UserError(
            f"sampler: {path} cannot be made with a seed alone ({one_line(error)}); name another."
        ) from None
    _check(trial, path, objectives)
    return sampler


def check_given(sampler: BaseSampler, name: str, objectives: int) -> None:
    """Tries out a copy of a sampler that the user has made.

    Args:
        sampler: It stays as it is.
        name: Of its class.
        objectives: How many.

    Raises:
        UserError: It is no sampler, cannot be copied, or does not work with these objectives.
    """
    if not isinstance(sampler, BaseSampler):
        raise UserError(f"sampler: {name} is not a subclass of optuna.samplers.BaseSampler; give one that is.")
    try:
        tried = copy.deepcopy(sampler)
    except Exception as error:
        raise UserError(f"sampler: {name} cannot be copied to be tried out ({one_line(error)}).") from None
    _check(tried, name, objectives)


def _check(sampler: BaseSampler, name: str, objectives: int) -> None:
    try:
        _try_out(sampler, objectives)
    except Exception as error:
        raise UserError(
            f"sampler: {name} cannot search {objectives} objectives ({one_line(error)}); name another."
        ) from None


def _find(path: str) -> type[BaseSampler]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # whatever the module raises as it is imported
        raise UserError(f"sampler: {path} cannot be imported ({one_line(error)}); check its name.") from None
    if not (inspect.isclass(found) and issubclass(found, BaseSampler)):
        raise UserError(f"sampler: {path} is not a subclass of optuna.samplers.BaseSampler; name one that is.")
    return found


def _try_out(sampler: BaseSampler, objectives: int) -> None:
    """Has it suggest points of a small study; the first ones are often chance."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        directions = [StudyDirection.MAXIMIZE] * (objectives - 1) + [StudyDirection.MINIMIZE]
        study = optuna.create_study(directions=directions, sampler=sampler)
        for _ in range(3):
            trial = study.ask({"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)})
            study.tell(trial, [trial.params["a"] * trial.params["b"]] * objectives)
    finally:
        optuna.logging.set_verbosity(verbosity)
