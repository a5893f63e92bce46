"""Where Ray's job server is. This imports no Ray, so that the command line can know it and start at once."""

from __future__ import annotations

ADDRESS = "http://127.0.0.1:8265"
"""The address unless told otherwise: this machine, or the end of a tunnel on it."""
