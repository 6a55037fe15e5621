"""A team's eval set: where its items are, how they become questions, who gets which, and what may be wrong with them.

- what is named: `address`, `spec` (the YAML file's shape), `yamlfile`
- rows of any file: `sources` over `files`, `jsons`, `tables`, `columnar`, `hub`; each gives `rows`
- rows to items: `mapping` over `cells`, `choices`, `template`; `items` reads a source through it
- who gets which: `splits`; and all of it together: `load`
- tasks of other tools: `hosted`, its children `host_lm_eval` and `host_inspect`, and what they tell (`told`, `frame`, `forms`)
- code of a team: `plugins`, `plugin_code`, `own_scorer`; `blame` names the line of theirs that failed
- a first file for a data set: `profile`, `guess`, `guess_columns`, `beside`, `first_yaml`
- what is wrong: `check` over `findings` and `findings_*`, `lengths`, `words`; errors a person can mend: `trouble`
"""
