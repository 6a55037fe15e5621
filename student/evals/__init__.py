"""A team's eval set: where its items are, how they become questions, who gets which, and what may be wrong with them.

`spec` is the YAML file's shape, `address` what may stand in `--evals` and in `source:`, `sources` reads rows of any file,
`items` turns rows into labelled items, `splits` deals them out, `load` puts it all together. `guess` writes a first YAML file for
a data file, `check` looks for what is wrong before a token is spent. `hosted` and its children run tasks written for other tools.
"""
