"""What every service does alike: settings, logs, bus connection, run loop, admin port."""
