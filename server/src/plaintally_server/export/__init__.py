"""The export: complete days as Parquet files, for engines that read many of them.

`layout` lists the files that there are and those that have to be written. `parquet` reads and
writes them, and `queries` asks DuckDB or Spark for metrics.
"""
