"""What HTTP shows: one module for each concern, with an ``init_app`` each."""
