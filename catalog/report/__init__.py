"""Reports of multipliers as HTML pages that stand alone.

Importing needs NumPy only; writing a report needs Jinja2 and plotly.
"""

from catalog.report.evidence import Cost, Published, compared
from catalog.report.page import render_report, write_report

__all__ = ["Cost", "Published", "compared", "render_report", "write_report"]
