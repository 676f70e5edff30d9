"""Reports as single HTML files that open offline."""

from ltm_pyro.report.page import page

__all__ = ["page"]
