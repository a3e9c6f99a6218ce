"""Requests for a promotion, the decision about them, and the effects of the decision."""
