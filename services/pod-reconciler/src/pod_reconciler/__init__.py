"""What each Node should run: watches pods, sends plans, writes status."""
