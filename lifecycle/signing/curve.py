"""Which 32 bytes are a public key that means something (Edwards25519, RFC 8032, 5.1).

A few points of the curve are no use as keys and all use to a forger: with one of these eight, of small order, a
signature that nobody's private key made holds for texts of the forger's choice. No library looks for them.
"""

from __future__ import annotations

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_SIGN_BIT = 1 << 255


def is_sound(point: bytes) -> bool:
    """Whether that is the one spelling of a point on the curve, and none of the eight of small order."""
    y = int.from_bytes(point, "little") & ~_SIGN_BIT
    if len(point) != 32 or y >= _P:
        return False
    square = y * y % _P
    x_square_is = (square - 1) * (_D * square + 1) % _P  # a fraction and this product are squares together
    return not _is_of_small_order(square) and pow(x_square_is, (_P - 1) // 2, _P) == 1


def _is_of_small_order(square: int) -> bool:
    """Eight times the point is the neutral element; ``square`` is that of its y.

    y = 1 or -1 (orders 1 and 2), y = 0 (order 4), or twice the point has y = 0 (order 8).
    """
    return square in (0, 1) or (_D * square * square + 2 * square - 1) % _P == 0
