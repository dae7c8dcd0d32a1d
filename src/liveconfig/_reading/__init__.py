"""From a volume on disk to validated settings: the rooms that read."""
