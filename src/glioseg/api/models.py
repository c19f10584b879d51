"""Trained networks from Python: loaded, predicting, exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.api.addresses import takes_addresses, takes_addresses_and_writes_a_file
from glioseg.api.common import Progress, StrPath, optional_path, reporter_of, require_list
from glioseg.api.data import AnyData, folder_of, source_of
from glioseg.api.runs import Run, path_of
from glioseg.core import Case, Image
from glioseg.core.modalities import named_among
from glioseg.errors import OptionError
from glioseg.io.in_memory import Scan, image_of, named_alone, volumes_of

if TYPE_CHECKING:
    from torch import nn

    from glioseg.cohorts.reading.layout import Layout
    from glioseg.inference.export import ExportResult
    from glioseg.inference.shipped import ShippedModel
    from glioseg.inference.uncertainty import UncertaintyOptions
    from glioseg.preparation.ready.options import ReadyOptions
    from glioseg.preparation.ready.result import ReadyScan
    from glioseg.runs.predict import NetworkSource, PredictResult
    from glioseg.tasks.classify.predict import ClassPrediction
    from glioseg.tasks.confidence import Calibration
    from glioseg.tasks.prediction import Members
    from glioseg.tasks.segment.prediction import SegmentPrediction
    from glioseg.tasks.wanted import Wanted


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained network, or several whose probabilities are averaged, ready to predict."""

    members: Members
    networks: NetworkSource | None = None

    def __repr__(self) -> str:
        """The networks by name, and what they need: their layers would fill pages."""
        names = " + ".join(info.name for info in self.members.infos)
        return f"Model({names}: {', '.join(self.modalities)})"

    @property
    def modalities(self) -> tuple[str, ...]:
        """What a case must have."""
        return self.members.modalities

    def predict(
        self,
        scans: Case | Mapping[str, Scan] | Scan,
        *,
        name: str | None = None,
        uncertainty: bool | UncertaintyOptions = False,
        explain: bool = False,
        register: bool = False,
        brain_extract: bool = False,
        n4: bool = False,
        atlas: str | None = None,
        mask_on: str | None = None,
    ) -> SegmentPrediction:
        """Draw the mask of one case.

        Args:
            scans: a case of what ``glioseg.read`` gave; or modality -> path, nibabel image, or (array (X, Y, Z), affine
                (4, 4) of RAS+ mm), all on one grid unless ``register`` is set; the scan alone where the network needs
                one modality; of a network of pictures a picture: its path, or an array (rows, columns) or (rows,
                columns, 3). Older names of modalities (flair, t1ce) will do.
            name: what the case is called, and its files; None for the case's own name, else ``case``.
            uncertainty: ask the networks again, mirrored, scaled and with dropout, and say in ``.uncertainty`` how far
                their answers lie apart; ``UncertaintyOptions`` say how often. The answer stays the same.
            explain: also find what the networks looked at, and what each modality contributed: ``.explanation``.
            register: bring modalities that lie on different grids to one of 1 mm, rigidly, and the mask back to the
                grid of one of them.
            brain_extract: remove what is not brain, where a skull is found; needs the extra ``brain`` and a T1.
            n4: even out the shading of each modality.
            atlas: ``mni`` shows the network the head in the space of that atlas; the mask lies where it would else.
            mask_on: the modality on whose grid the mask lies; None for the first that was acquired as it is.

        Returns:
            ``.label_map``, ``.probabilities`` (R, X, Y, Z), ``.volumes_ml``, ``.save(out)``; ``.ready.record`` says
            what was done to the scans.

        Raises:
            GeometryError: a modality is lacking, lies on another grid, or cannot be registered.
            FileError: a file that cannot be read.
            OptionError: the network says classes (``classify``), or a library is missing.
        """
        from glioseg.tasks.segment.predict import SegmentMembers

        if not isinstance(self.members, SegmentMembers):
            raise OptionError("this network says classes and draws no mask", remedy="Call classify in place of predict")
        ready = self._ready(register, brain_extract, n4, atlas, mask_on)
        wanted = replace(_wanted(self.members, uncertainty, explain), ready=ready)
        if isinstance(scans, Case):
            return self.members.predict(self._case(scans, name), wanted)
        scan = self._made_ready(scans, ready) if ready.asks else self._image(scans)
        return self.members.predict_image(name or "case", scan, wanted)

    def classify(
        self,
        scans: Case | Mapping[str, Scan] | Scan,
        *,
        name: str | None = None,
        uncertainty: bool | UncertaintyOptions = False,
        explain: bool = False,
    ) -> ClassPrediction:
        """Say the class of one case.

        Args:
            scans: as ``predict`` takes them.
            name: likewise.
            uncertainty: as ``predict`` takes it.
            explain: also write what each modality contributed.

        Returns:
            ``.decided``, ``.confidence`` (0 to 1), ``.probabilities`` of each class, ``.save(out)``.

        Raises:
            GeometryError, FileError: as of ``predict``.
            OptionError: the network draws masks (``predict``).
        """
        from glioseg.tasks.classify.predict import ClassifyMembers

        if not isinstance(self.members, ClassifyMembers):
            raise OptionError("this network draws masks and says no class", remedy="Call predict in place of classify")
        wanted = _wanted(self.members, uncertainty, explain)
        if isinstance(scans, Case):
            return self.members.predict(self._case(scans, name), wanted)
        return self.members.predict_image(name or "case", self._image(scans), wanted)

    def _case(self, case: Case, name: str | None) -> Case:
        from glioseg.tasks.members import fitted

        called = fitted(case if name is None else replace(case, id=name), self.modalities)
        self.members.require(called)
        return called

    def _image(self, scans: Mapping[str, Scan] | Scan) -> Image:
        return image_of(self._named(scans))

    def _made_ready(self, scans: Mapping[str, Scan] | Scan, options: ReadyOptions) -> ReadyScan:
        from glioseg.preparation.ready.scan import make_ready

        return make_ready(volumes_of(self._named(scans)), self.modalities, options)

    def _ready(
        self, register: bool, brain_extract: bool, n4: bool, atlas: str | None, mask_on: str | None
    ) -> ReadyOptions:
        from glioseg.preparation.ready.options import ReadyOptions

        mask_modality = None if mask_on is None else named_among(mask_on, self.modalities)
        return ReadyOptions(register, brain_extract, n4, atlas, mask_modality)

    def _named(self, scans: Mapping[str, Scan] | Scan) -> dict[str, Scan]:
        from glioseg.tasks.members import called_as

        by_modality = scans if isinstance(scans, Mapping) else named_alone(scans, self.modalities)
        return called_as(by_modality, self.modalities)

    @takes_addresses
    def predict_files(
        self,
        inputs: AnyData | Sequence[AnyData],
        out: StrPath,
        *,
        modality_files: Mapping[str, StrPath] | None = None,
        max_voxels: int | None = None,
        skip_done: bool = False,
        uncertainty: bool | UncertaintyOptions = False,
        explain: bool = False,
        write: Sequence[str] = ("nifti", "report"),
        deidentify: bool = False,
        register: bool = False,
        brain_extract: bool = False,
        n4: bool = False,
        atlas: str | None = None,
        mask_on: str | None = None,
        on: str | None = None,
        progress: Progress | None = None,
    ) -> PredictResult:
        """Predict every case of folders and files and write masks, pictures, ``summary.csv`` and a page.

        Args:
            inputs: folders of cases, volumes or pictures; or what ``glioseg.read`` gave.
            out: where results go.
            modality_files: modality -> file, of one more case that is given file by file.
            max_voxels: files that declare more are refused; None for what ``glioseg.read`` was told, or 512³ × 4.
            skip_done: leave cases that this model has predicted into ``out`` already, of the same files.
            uncertainty: as of ``predict``; the same as ``uncertainty`` among ``write``.
            explain: likewise; maps and a picture for each region are written.
            write: what is written of each case: ``nifti`` (the mask; of pictures as pictures), ``report`` (one page as
                HTML and PDF, and the overlay; of pictures this alone), ``probabilities`` (of the regions, NIfTI),
                ``uncertainty`` (maps, intervals and a confidence), ``seg`` (DICOM, of DICOM studies), ``stl`` (surfaces
                of the regions), ``bids`` (a BIDS derivative dataset). Its JSON file always is.
            deidentify: replace patient, dates and UIDs in DICOM segmentations by digests.
            register: as of ``predict``; each case has ``_ready.png`` and what was done in its JSON file.
            brain_extract: likewise.
            n4: likewise.
            atlas: likewise.
            mask_on: likewise.
            on: where cases are predicted: ``ray``, ``ray://HOST:PORT``, with what each worker may use behind it
                (``ray,cpus=4,memory=8``, GB); None for this process. The files are the same.
            progress: told how many cases are done.

        Returns:
            ``.table()``, a DataFrame; ``.cases``, what was written for each; ``.failed``, what is wrong with those that
            could not be predicted.

        Raises:
            GeometryError: every case lacks a modality; nothing has been written then.
            OptionError: nothing to predict, results that would replace the scans, or what a network cannot write.
            FileError: ``out`` cannot be written to, or holds a table or page of these names that is not glioseg's.
        """
        from glioseg.runs.predict import PredictionWorkers, predict_with
        from glioseg.workers.choose import where_of

        require_list("write", write, '["nifti", "report"]')
        if on is not None and self.networks is None:
            raise OptionError("workers load networks themselves", found="a Model of your own", expected="glioseg.load")
        given = inputs if isinstance(inputs, Sequence) and not isinstance(inputs, str) else [inputs]
        files = {name: Path(path) for name, path in (modality_files or {}).items()}
        data = [source_of(each) for each in given]
        return predict_with(
            self.members,
            data,
            Path(out),
            files,
            max_voxels,
            reporter_of(progress),
            skip_done=skip_done,
            spread=None if on is None or self.networks is None else PredictionWorkers(where_of(on), self.networks),
            wanted=replace(
                _wanted(self.members, uncertainty or "uncertainty" in write, explain),
                write=tuple(dict.fromkeys(write)),
                deidentify=deidentify,
                ready=self._ready(register, brain_extract, n4, atlas, mask_on),
            ),
        )


def _wanted(members: Members, uncertainty: bool | UncertaintyOptions, explain: bool) -> Wanted:
    from glioseg.tasks.wanted import Wanted

    return Wanted((members.samples if uncertainty is True else uncertainty) or None, explain)


@takes_addresses
def load(
    path: StrPath | Run,
    *others: StrPath | Run,
    device: str = "auto",
    backend: str = "torch",
    network: nn.Module | None = None,
) -> Model:
    """Load a trained network.

    Args:
        path: a run folder, a bundle, or ``model:NAME`` for a shipped network (see ``glioseg.models``).
        others: further ones, whose probabilities are averaged with the first's.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        backend: what computes the network: ``torch``, or on the processor ``onnx`` (onnxruntime, fp32) or ``openvino``
            (in bfloat16 where the processor is faster in it), which are quicker, need the extra ``deploy`` and draw the
            same mask but for a few voxels; ``glioseg.doctor(backends=True)`` measures them.
        network: the module, where it was one of your own; its weights are replaced.

    Raises:
        FileError: no bundle there, or a damaged one.
        OptionError: networks that do not mean the same; a network of your own that is not given, or another one; a
            backend that is not installed.
        ExportError: the network says something else on the backend, or cannot be computed there.
    """
    from glioseg.runs.predict import NetworkSource

    networks = NetworkSource((path_of(path), *(path_of(other) for other in others)), device, network, backend)
    return Model(networks.load(), networks)


@takes_addresses
def calibrate(
    run: StrPath | Run,
    data: AnyData | None = None,
    *,
    folds: Sequence[StrPath | Run] = (),
    check: AnyData | None = None,
    out: StrPath | None = None,
    risk: float = 0.1,
    level: float = 0.9,
    device: str = "auto",
    cache: StrPath | None = None,
    network: nn.Module | None = None,
    layout: Layout | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Fit how far a network's masks can be trusted, and keep it in its bundle; no mask changes.

    Of a run it is fitted on the validation part and checked on the test part; on other data, and on what folds held
    out, it is checked by leaving patients out.
    ``predict(…, uncertainty=True)`` then states the expected Dice, why it is low, and intervals that were checked.

    Args:
        run: a run, or a bundle (which needs ``data`` or ``folds``).
        data: scans with masks that the network was not trained on; None for those of the run.
        folds: runs of the same recipe that held out other patients, for a network that was trained on all of them.
        check: further scans with masks, to see how far what was found holds there.
        out: where ``calibration.json`` and the page go; None for the run, or the bundle's folder.
        risk: share of a region that the cautious mask misses at most, on average over patients.
        level: share of patients whose volume lies in its interval, at least.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        network: the module, where it is your own.
        layout: by which the run's data was read, where it is your own.
        progress: told how far it is.

    Returns:
        ``.figures``, as ``calibration.json`` holds them; ``.text``; ``.page``.

    Raises:
        OptionError: a shipped network, a classifier, a bundle without data, folds of another network.
        ScoreError: too few cases.
        SplitError: data that the network was trained on, or held out twice.
    """
    from glioseg.runs import calibrate as calibrating
    from glioseg.tasks.confidence import Promises

    require_list("folds", folds, '["runs/fold-0", "runs/fold-1"]')
    return calibrating.calibrate(
        path_of(run),
        None if data is None else folder_of(data),
        folds=[path_of(fold) for fold in folds],
        check=None if check is None else folder_of(check),
        out=optional_path(out),
        promises=Promises(risk, level),
        device=device,
        cache=optional_path(cache),
        network=network,
        layout=layout,
        reporter=reporter_of(progress),
    )


def models() -> tuple[ShippedModel, ...]:
    """The shipped networks: ``glioseg.load("model:NAME")`` loads one.

    Returns:
        each with ``.name``, ``.is_installed``, ``.folder`` and ``.card()``, which says what it does, on which data and
        terms it was made, how good it is, and where it fails. Those on research terms are a distribution of their own,
        ``glioseg-weights-research``; of one that is not installed, ``.how_to_get`` says how to get it.
    """
    from glioseg.inference.shipped import SHIPPED

    return tuple(SHIPPED.values())


@takes_addresses_and_writes_a_file
def export(
    run: StrPath | Run,
    out: StrPath | None = None,
    *,
    form: str = "onnx",
    card: StrPath | None = None,
    size: Sequence[int] | None = None,
    network: nn.Module | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Write a network in another form, checked against the network itself.

    Args:
        run: a run, a bundle, or ``model:NAME``.
        out: the file, or a bundle's folder; None for ``model.onnx``, ``model.xml``, ``model-int8.xml``,
            ``model.pt2``, ``monai-bundle`` or ``bundle-float16`` in the folder.
        form: for other programs, of images (B, C, *S) -> probabilities (B, R, *S): ``onnx``, with a short program
            beside it that draws masks without glioseg, ``openvino``, and of a run ``openvino-int8``, where 8 bits cost
            no accuracy on its validation part and save time, which need the extra ``deploy``; ``torch``, a program of
            ``torch.export``; ``monai``, a folder with which ``monai.bundle run`` draws masks; ``bundle``
            for handing on, with weights in float16.
        card: the TOML file of a model card, for a bundle.
        size: of the images in pixels or voxels, for a network that takes one size only; None takes the recipe's.
        network: the module, where it was one of your own.
        progress: told when it is done.

    Returns:
        ``.path``, ``.n_bytes``, ``.size``, ``.notes`` and ``.difference``, the largest of a probability from the
        network's own.

    Raises:
        OptionError: an unknown format, a name that ends as another format's files do, a library is missing, or a size
            that does not fit.
        ExportError: the network cannot be exported, or 8 bits do not pay.
        FileError: no bundle, or the file cannot be written.
    """
    from glioseg.runs import export as exporting

    require_list("size", size, "[96, 96, 96]")
    return exporting.export(
        path_of(run),
        optional_path(out),
        form=form,
        card=optional_path(card),
        size=size,
        network=network,
        reporter=reporter_of(progress),
    )
