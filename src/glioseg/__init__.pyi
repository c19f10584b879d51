from glioseg.api import FolderCohort as FolderCohort
from glioseg.api import Model as Model
from glioseg.api import Run as Run
from glioseg.api import evaluate as evaluate
from glioseg.api import load as load
from glioseg.api import phantom as phantom
from glioseg.api import read as read
from glioseg.api import recipe as recipe
from glioseg.api import score as score
from glioseg.api import train as train
from glioseg.cohorts.reading.layout import Layout as Layout
from glioseg.config import Recipe as Recipe
from glioseg.core import Case as Case
from glioseg.core import Cohort as Cohort
from glioseg.core import Grid as Grid
from glioseg.core import Image as Image
from glioseg.core import LabelMap as LabelMap
from glioseg.core import LabelScheme as LabelScheme
from glioseg.core import Source as Source
from glioseg.errors import GliosegError as GliosegError
from glioseg.runs.inspect import InspectResult as InspectResult
from glioseg.tasks.task import CasePrediction as CasePrediction
from glioseg.tasks.task import Scores as Scores
from glioseg.tasks.task import Task as Task

__version__: str
__all__: list[str]
