"""The store: documents, the totals of imports, and what is left of a deletion.

Only this package knows SQL. `protocols` says what others may ask of it; `opening` opens one.
Batches of writes go from `writer` through the pure `planner` to the fastest statements of `sqlite`,
or by way of `postgres_batch` to those of `postgres`. All else (`reader`, `rows`, `deletion`,
`maintenance`) is the same for both databases.
"""
