"""What a run found, for people: a table, a sentence, a picture, and the files that hold them."""

from ama_ray.report.plots.front import plot_front
from ama_ray.report.text.front_table import front_table
from ama_ray.report.text.summary import sentence
from ama_ray.report.write import write_report

__all__ = ["front_table", "plot_front", "sentence", "write_report"]
