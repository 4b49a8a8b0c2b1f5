"""How an asyncio iteration is embedded in Qt. No user API; read driver.py first."""
