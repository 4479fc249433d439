"""The report of a comparison: one HTML file that loads nothing from outside."""

from gnnseg.report.page import write_report

__all__ = ["write_report"]
