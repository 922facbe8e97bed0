"""What the store's figures say; all of it is pure.

`questions` are what is asked of a package, and `answers` what their cells mean; `series` are
figures day by day. `charts` and `texts` show them, `histogram` has quantiles of durations, and
`disclosure` keeps back what stands for too few. `floods`, `silence` and `outages` find what should
not be in figures, or is missing.
"""
