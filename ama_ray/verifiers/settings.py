"""The fields of the run file that verifiers have, whether they make a reward or a probe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from pydantic import Field

from ama_ray.config.fields import Model
from ama_ray.processes.sandbox import Limits
from ama_ray.verifiers.code import CodeVerifier, Isolation
from ama_ray.verifiers.formats import JsonVerifier, RegexVerifier
from ama_ray.verifiers.math import MathVerifier

if TYPE_CHECKING:
    from ama_ray.verifiers.base import Verifier


class Verified(Model, ABC):
    """Settings of a verifier."""

    @property
    @abstractmethod
    def verifier(self) -> Verifier:
        """What they make."""


class MathSettings(Verified):
    """Of `kind: math`."""

    timeout: float = Field(10, gt=0, description="seconds for one reply; one that takes longer is wrong")

    @property
    def verifier(self) -> MathVerifier:
        """What they make."""
        return MathVerifier(self.timeout)


class CodeSettings(Verified):
    """Of `kind: code`."""

    timeout: float = Field(10, gt=0, description="seconds for one program with its tests")
    memory_mb: int = Field(1024, ge=64, description="MB of memory for each of its processes")
    processes: int = Field(16, ge=1, description="most processes at a time; without a sandbox there is no such limit")
    files_mb: int = Field(32, ge=1, description="MB of files; without a sandbox, of each file")
    sandbox: Isolation = Field(
        "namespaces", description="what isolates programs: Linux namespaces of their own; `none` runs them as they are"
    )

    @property
    def verifier(self) -> CodeVerifier:
        """What they make."""
        return CodeVerifier(Limits(self.timeout, self.memory_mb, self.processes, self.files_mb), self.sandbox)


class RegexSettings(Verified):
    """Of `kind: regex`."""

    pattern: str | None = Field(None, description="of all rows; default: that in the field `pattern` of each")

    @property
    def verifier(self) -> RegexVerifier:
        """What they make."""
        return RegexVerifier(self.pattern)


class JsonSettings(Verified):
    """Of `kind: json`."""

    @property
    def verifier(self) -> JsonVerifier:
        """What they make."""
        return JsonVerifier()
