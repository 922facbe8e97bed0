"""Statistics: one road from a metric to a bar, for pages, commands, JSON and CSV.

A metric (`metrics`) is read as cells from the database (`store_source`) or from an export. Cells
become a series by day (`series`) or a table (`tables`); the public page suppresses rows that stand
for too few imports (`disclosure`). `charts` draws a series, and `formats` writes a report as text,
JSON or CSV. `facts` collects what a page shows.

`rows` and `days` count the documents of one day. `spikes`, `silence` and `downtime` find imports
that are made up or missing.
"""
