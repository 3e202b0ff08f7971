"""One command that proves on a GPU what was written without one: tests, speed, memory, and what longer training gives.

    python -m benchmarks.gpu --minutes 30 --out DIR [--stylegan2-ada CHECKOUT] [--photos ZIP]
    python -m benchmarks.gpu --dry-run --out DIR     # the same at tiny scale, on a CPU, in three minutes

Steps run in order of their worth, each in a process of its own and with its own budget: one that hangs or breaks the
GPU costs its own figures only. Every figure is a cell in DIR/cells; run it again, and it goes on where it was stopped.
"""
