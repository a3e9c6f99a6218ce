"""How the guard's tables came to be what they are: alembic's scripts, and the one way to run them."""
