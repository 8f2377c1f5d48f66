"""results.json, or a run folder -> one self-contained HTML file, and tables for papers.

write_report("study/")                                   # study/report.html
write_report("study/", formats=("html", "latex"))        # and study/report.tex
write_report("flowers-gif/")                             # a single run
"""

from imaginate.reports.read import RunContents, Study, read
from imaginate.reports.view_run import DrawMap, Options, ReadImage
from imaginate.reports.writing import FORMATS, write_report, write_tables

__all__ = ["FORMATS", "DrawMap", "Options", "ReadImage", "RunContents", "Study", "read", "write_report", "write_tables"]
