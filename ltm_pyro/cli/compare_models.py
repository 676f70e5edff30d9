"""`ltm compare models`."""

from ltm_pyro.cli.command import Command
from ltm_pyro.studies.models.kept_study import study_models

EPILOG = """All runs must hold out the same documents. Their tokenizers may differ, since all scores are in bits per
byte. Speeds are those that each run logged during training, and compare only if all were trained on one idle machine;
with --measure all runs are timed here, a step of each in turn.
"""

main = Command(study_models, "ltm compare models", epilog=EPILOG)
