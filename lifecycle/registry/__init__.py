"""Reading and moving registered versions."""
