"""The migrations, in `versions`: from one version of the tables to the next."""
