"""What the store's figures say: `series` makes them comparable, `charts` draws them. All of it is pure."""
