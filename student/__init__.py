"""The student's room: eval sets and their scorers, and the model that is fine-tuned and examined. Imports no other room."""
