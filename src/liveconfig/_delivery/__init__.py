"""From an applied version to its subscribers: the rooms that deliver."""
