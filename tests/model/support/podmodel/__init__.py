"""The world around both pure domains: clock, bus, API server and keeper, all as plain data."""
