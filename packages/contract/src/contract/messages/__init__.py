"""Every message of the bus, by topic: nodes, pods, reports, logs, blobs."""
