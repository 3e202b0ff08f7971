"""The tables of the paper, measured again: `gseg reproduce TABLE`.

setup.py      what is measured on (a subject), how much of it (a size), and where figures are kept
jobs.py       a job is one cell: a config, and what computes its figures
networks.py, inversions.py, scoring.py    the computing itself; these files are part of every cell's key
tables/       one file per table: which jobs it needs, and how it is written down
run.py        the jobs that are missing, one after the other, and then the tables
"""
