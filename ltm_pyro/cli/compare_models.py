"""`ltm compare models`."""

from ltm_pyro.cli.command import Command
from ltm_pyro.studies.models.kept_study import study_models

EPILOG = """All runs must hold out the same documents. They may have tokenizers of their own: all that is compared is
in bits per byte. Speed is what each run measured while it trained: let them train on one machine, with nothing beside,
or give --measure: then all of them are measured here, a step of each in turn.
"""

main = Command(study_models, "ltm compare models", epilog=EPILOG)
