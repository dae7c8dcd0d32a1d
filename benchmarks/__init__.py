"""The numbers, measured side by side in one run: ``python -m benchmarks``. The only place where timing is allowed."""
