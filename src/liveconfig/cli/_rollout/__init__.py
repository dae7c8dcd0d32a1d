"""The implementation of ``liveconfig status`` and ``liveconfig sync``: pods, queries, rows of a table.

- `pods`: The pods of a workload, a selector, or all that use one ConfigMap or Secret.
- `expectations`: What each container should see of its ConfigMaps and Secrets, as digests.
- `container_queries`: Runs ``liveconfig ps`` in containers, many at once.
- `answers`: What a container printed, checked: nothing of it is trusted.
- `rows`: The answers of a container -> rows: which volume is in sync, and which is not, and why.
- `progress`: What `sync` shows while it waits.
- `arguments`: The arguments that both commands share.
- `call`: One call: which pods, what they answered so far, and the time that is left.
- `output`: The table and the JSON at the end.
"""
