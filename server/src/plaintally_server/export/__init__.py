"""The export: complete days as Parquet files, for engines that read many of them.

`layout` lists the files that there are and those that have to be written, and `run` brings them up
to date. `parquet` reads and writes them, and `queries` asks DuckDB or Spark for metrics. `opening`
loads either of the two, which are extras.
"""
