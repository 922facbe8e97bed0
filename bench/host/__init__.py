"""What embedding a telemetry system costs its host, and what it lets out: ours beside the others.

`python -m host` makes one environment for each system, starts servers on loopback and measures all
systems in turn, in namespaces of its own: nothing that is started here can reach another machine.
`systems` is the list of who is measured and how each was pointed at loopback; `peers/` holds for
each what its documentation says an author should write; the programs in `probes/` run inside those
environments. Figures go to `bench/results/host.json`, and from there into
`docs/reference/performance.md`.
"""
