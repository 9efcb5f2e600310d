"""The commands for people, projects and products. Each takes its settings from the environment.

They act as the operator at the machine, or with ``--as`` as a user, under the rules for that user.
"""
