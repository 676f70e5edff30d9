"""Reports as single HTML files that open offline, and the parts of interactive charts."""

from ltm_pyro.report.page import page
from ltm_pyro.report.plotly_bundle import plotly_js
from ltm_pyro.report.themes import themes
from ltm_pyro.report.view import View, inert

__all__ = ["View", "inert", "page", "plotly_js", "themes"]
