"""The program a person runs: commands, settings, terminal."""
