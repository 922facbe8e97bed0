"""The migrations, in `versions`: each brings the tables from one version to the next, on both databases."""
