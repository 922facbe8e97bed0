"""What a maintainer does, for the command line and the pages alike."""
