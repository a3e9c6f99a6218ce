"""Who may vouch for what: Ed25519 keys, which of them are trusted, and the texts that they sign."""
