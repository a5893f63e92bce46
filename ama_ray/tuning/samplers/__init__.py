"""Samplers behind one name: what chooses the ratios of a search."""

from ama_ray.tuning.samplers.listener import Listener
from ama_ray.tuning.samplers.setting import Setting
from ama_ray.tuning.samplers.table import check, make

__all__ = ["Listener", "Setting", "check", "make"]
