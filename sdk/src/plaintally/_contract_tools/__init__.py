"""What authors do with a contract beyond declaring it: check it, compare it, and publish it as a page."""
