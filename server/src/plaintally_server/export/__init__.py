"""The export: days that are over as Parquet files, for engines that read many machines' worth of them.

`layout` says which files there are and which have to be written, `rows` what stands in them; both
are pure. `files` writes them to a directory or a bucket, and `command` is what a maintainer types.
"""
