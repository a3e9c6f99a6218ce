"""The engines: a compiled scorer here, a pyfunc scorer in processes of its own, and what both share."""
