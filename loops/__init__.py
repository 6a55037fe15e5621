"""The loop's room: what repeats, what is decided, and what is kept so that a killed run goes on."""
