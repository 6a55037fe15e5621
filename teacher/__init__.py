"""The teacher's room: who is asked, what it cost, what is asked, and what of the answers is good enough to learn from."""
