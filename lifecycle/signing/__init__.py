"""Ed25519 keys, the file of trusted keys, and the signed texts (JWS) that the guard accepts."""
