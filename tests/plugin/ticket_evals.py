"""Two eval sets of a help desk, as a package offers them: plain mappings, and no import of the program that uses them."""

PROBLEMS = {
    "billing": [
        "an invoice was paid twice",
        "the card was refused",
        "a refund is late",
        "the price went up",
        "a receipt is missing",
    ],
    "access": [
        "the password is lost",
        "an account is locked",
        "a colleague left",
        "the code never came",
        "a login loops",
    ],
    "shipping": ["a parcel is lost", "the box was wet", "half of it came", "the wrong size came", "a return is stuck"],
}
OPENINGS = ["Hello,", "Urgent:", "Again", "For the second time", "Since Monday"]


def tickets():
    """Which desk a ticket belongs to."""
    rows = [
        {"prompt": f"{opening} {problem}.", "answer": desk, "id": f"{desk}-{number}-{at}"}
        for desk, problems in PROBLEMS.items()
        for number, problem in enumerate(problems)
        for at, opening in enumerate(OPENINGS)
    ]
    return {
        "name": "tickets",
        "noun": "ticket",
        "instruction": "Say which desk the ticket belongs to.",
        "labels": {"billing": "money and invoices", "access": "logins and rights", "shipping": "parcels"},
        "splits": {"mine": 25, "select": 20, "test": 30},
        "items": rows,
    }


def polite(expected, output):
    """1 for a reply that holds the key word and says please, a half for the word alone, None for no words at all."""
    if not output.strip():
        return None
    return (expected in output) * (1.0 if "please" in output.lower() else 0.5)


def replies():
    """A reply to write, judged by a rule of the desk's own; the rows are in parts, under the desk's own column names."""
    rows = [
        {"ticket": f"{opening} {problem}.", "keyword": problem.split()[-1]}
        for problem in PROBLEMS["access"]
        for opening in OPENINGS
    ]
    return {
        "kind": "generate",
        "columns": {"prompt": "ticket", "answer": "keyword"},
        "max_new_tokens": 24,
        "scorer": polite,
        "parts": {"train": rows[:10], "validation": rows[10:15], "test": rows[15:]},
    }
