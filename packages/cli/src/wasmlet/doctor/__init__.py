"""`wasmlet doctor`: looks an installation over, and says what to do about what it finds."""
