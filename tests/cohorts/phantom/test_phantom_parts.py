"""The phantom's parts by themselves: fields, atlas, mass effect, threshold baseline."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.phantom import atlas as atlas_module
from glioseg.cohorts.phantom.anatomy import atlas_points, brain_mask, draw_anatomy, resting_points, tissues_at
from glioseg.cohorts.phantom.atlas import load_atlas
from glioseg.cohorts.phantom.baseline import threshold_baseline
from glioseg.cohorts.phantom.fields import Field, Frame, draw_field, smoothstep
from glioseg.cohorts.phantom.patient_facts import draw_facts, facts_of
from glioseg.cohorts.phantom.tumour import PhantomLesion, pushed
from glioseg.errors import FileError, LayoutError


def frame(spacing_mm: float, reach_mm: float = 60.0) -> Frame:
    axis = np.arange(-reach_mm, reach_mm + 0.5 * spacing_mm, spacing_mm, dtype=np.float32)
    return Frame((axis, axis, axis))


class TestFields:
    def test_constant_knots_give_a_constant(self) -> None:
        """Cubic B-splines add up to 1 everywhere."""
        field = Field(np.full((30, 36, 34), 2.5, dtype=np.float32), 8.0)
        assert np.allclose(field.on(frame(5.0)), 2.5, atol=1e-5)

    @pytest.mark.parametrize("knot_mm", [3.0, 6.0])
    def test_unit_variance(self, knot_mm: float) -> None:
        values = draw_field(np.random.default_rng(1), knot_mm).on(frame(2.0, 80.0))
        assert values.std() == pytest.approx(1.0, abs=0.06)
        assert values.mean() == pytest.approx(0.0, abs=0.06)

    def test_a_field_is_a_function_of_place(self) -> None:
        field = draw_field(np.random.default_rng(2), 9.0)
        coarse, fine = field.on(frame(4.0)), field.on(frame(2.0))
        assert np.allclose(coarse, fine[::2, ::2, ::2], atol=1e-5)

    def test_smooth_across_knots(self) -> None:
        field = draw_field(np.random.default_rng(3), 20.0)
        x = np.arange(-60, 60, 0.5, dtype=np.float32)
        line = field.on(Frame((x, np.zeros(1, np.float32), np.zeros(1, np.float32))))[:, 0, 0]
        assert np.abs(np.diff(line, 2)).max() < 0.01

    def test_beyond_the_head_it_stays_finite(self) -> None:
        field = draw_field(np.random.default_rng(4), 10.0)
        assert np.abs(field.on(frame(40.0, 400.0))).max() < 6.0

    def test_smoothstep(self) -> None:
        assert smoothstep(np.array([-1.0, 0.0, 0.5, 1.0, 2.0])).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


class TestAtlas:
    def test_shares_and_distances(self) -> None:
        atlas = load_atlas(1.0)
        # The body of the corpus callosum's splenium, the thalamus and a lateral ventricle, in MNI millimetres.
        splenium, thalamus, ventricle, outside = (
            np.array(point, dtype=np.float32).reshape(3, 1)
            for point in ((0, -37, 14), (11, -19, 8), (9, 10, 16), (0, 0, 120))
        )
        assert atlas.sample("wm", splenium)[0] > 0.8
        assert atlas.sample("gm", thalamus)[0] > 0.5
        assert atlas.sample("ventricle", ventricle)[0] < 0.0
        assert atlas.sample("depth", thalamus)[0] > 25.0
        assert atlas.sample("brain", outside)[0] == 0.0

    def test_shares_never_exceed_one(self) -> None:
        atlas = load_atlas(3.0)
        assert (atlas.gm.astype(int) + atlas.wm.astype(int)).max() <= 258  # rounding

    def test_missing_maps_are_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        class Spec:
            submodule_search_locations = (str(tmp_path),)

        monkeypatch.setattr(importlib.util, "find_spec", lambda _: Spec())
        with pytest.raises(FileError, match="mni_icbm152_t1"):
            atlas_module._read("t1")
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        with pytest.raises(FileError, match="pip install nilearn"):
            atlas_module._read("t1")


def lesion(push: float) -> PhantomLesion:
    return PhantomLesion((20.0, 0.0, 0.0), 1.0, 15.0, np.eye(3), (), True, 0.6, (), push, 10.0, False)


class TestMassEffect:
    def test_tissue_moves_away_from_the_centre(self) -> None:
        """At 18 mm, push 0.6: r = 18 / 17.25, shift = 18 * 0.6 / (1 + r^3) = 5.06 mm, straight outwards."""
        where = frame(2.0)
        shift = pushed([lesion(0.6)], where, np.full(where.shape, 50.0, dtype=np.float32))
        beside = (int((38 + 60) / 2), 30, 30)
        assert shift[:, *beside] == pytest.approx([18 * 0.6 / (1 + (18 / 17.25) ** 3), 0.0, 0.0], abs=1e-3)
        above = (int((20 + 60) / 2), 30, 39)
        assert shift[:, *above] == pytest.approx([0.0, 0.0, 18 * 0.6 / (1 + (18 / 17.25) ** 3)], abs=1e-3)

    def test_nothing_moves_at_the_skull_or_far_away(self) -> None:
        where = frame(4.0)
        assert not pushed([lesion(0.6)], where, np.zeros(where.shape, dtype=np.float32)).any()
        shift = pushed([lesion(0.6)], where, np.full(where.shape, 50.0, dtype=np.float32))
        assert np.abs(shift[:, 0, 0, 0]).max() < 0.5

    def test_tissue_is_not_folded(self) -> None:
        """Where each voxel's tissue came from grows along every axis."""
        where = frame(2.0)
        shift = pushed([lesion(0.75)], where, np.full(where.shape, 50.0, dtype=np.float32))
        for axis in range(3):
            source = where.open_axes()[axis] - shift[axis]
            assert np.diff(source, axis=axis).min() > 0.0

    def test_the_other_hemisphere_moves_less(self) -> None:
        where = frame(2.0)
        shift = pushed([lesion(0.6)], where, np.full(where.shape, 50.0, dtype=np.float32))
        near, far = shift[0, int((56 + 60) / 2), 30, 30], shift[0, int((-16 + 60) / 2), 30, 30]
        assert near > 0.0 > far
        assert abs(far) == pytest.approx(0.4 * near, rel=1e-3)

    def test_it_shifts_the_ventricles(self) -> None:
        """A lesion right of the ventricles moves their fluid to the left; the brain keeps its outline."""
        atlas = load_atlas(3.0)
        anatomy = draw_anatomy(np.random.default_rng(5), 60.0)
        where = Frame(tuple(np.arange(-half, half + 1, 3.0, dtype=np.float32) for half in (84, 105, 78)))  # type: ignore[arg-type]
        resting = resting_points(anatomy, where)
        points = atlas_points(resting, anatomy, atlas, where)
        grown = replace(lesion(0.7), centre=(32.0, 15.0, 12.0), radius_mm=22.0)
        shift = pushed([grown], where, atlas.sample("depth", points))
        middles, outlines = [], []
        for places in (points, atlas_points(resting, anatomy, atlas, where, shift)):
            tissues = tissues_at(anatomy, atlas, where, places, brain_mask(anatomy, atlas, where, places))
            outlines.append(tissues.mask)
            fluid = np.argwhere(tissues.mask)[(tissues.ventricle < 0.0) & (tissues.csf > 0.5)]
            middles.append(float(where.axes[0][fluid[:, 0]].mean()))
        assert middles[1] < middles[0] - 1.5
        assert np.mean(outlines[0] ^ outlines[1]) < 0.002


class TestThresholdBaseline:
    def test_worked_by_hand(self) -> None:
        """Brain 10 20 30 40, tumour 20 and 40: from 40 up 2*1/(1+2), from 30 2*1/(2+2), from 20 2*2/(3+2) = 0.8."""
        flair = np.array([0, 10, 20, 30, 40]).reshape(5, 1, 1)
        tumour = np.array([False, False, True, False, True]).reshape(5, 1, 1)
        baseline = threshold_baseline([(flair, tumour)])
        assert baseline.raw_dice == pytest.approx(0.8)
        assert 10 < baseline.raw_threshold <= 20
        assert baseline.z_dice == pytest.approx(0.8)
        assert baseline.dice == pytest.approx(0.8)

    def test_z_score_undoes_gain(self) -> None:
        """Two patients that differ in gain alone: no raw threshold fits both, one on z does."""
        flair = np.array([0, 10, 10, 10, 30]).reshape(5, 1, 1)
        tumour = flair == 30
        baseline = threshold_baseline([(flair, tumour), (5 * flair, tumour)])
        assert baseline.z_dice == 1.0
        # Above 30 the first patient scores 0; at 30 the second predicts all of its four voxels: (1 + 2/5) / 2.
        assert baseline.raw_dice == pytest.approx(0.7)

    def test_tumour_outside_the_brain_counts_as_missed(self) -> None:
        flair = np.array([0, 10, 40]).reshape(3, 1, 1)
        tumour = np.array([True, False, True]).reshape(3, 1, 1)
        assert threshold_baseline([(flair, tumour)]).dice == pytest.approx(2 / 3)

    @pytest.mark.parametrize(("intensity", "has_tumour", "dice"), [(5, False, 1.0), (0, False, 1.0), (0, True, 0.0)])
    def test_patients_without_tumour_or_without_brain(self, intensity: int, has_tumour: bool, dice: float) -> None:
        """Without tumour a threshold above all is right; where nothing is bright, none finds the tumour."""
        flair = np.full((3, 1, 1), intensity)
        baseline = threshold_baseline([(flair, np.full(flair.shape, has_tumour))])
        assert (baseline.raw_dice, baseline.z_dice) == (dice, dice)
        assert baseline.raw_threshold == intensity + (intensity > 0)

    def test_nothing_to_score(self) -> None:
        with pytest.raises(LayoutError, match="no case"):
            threshold_baseline([])


class TestFacts:
    def test_age_and_survival_go_with_grade(self) -> None:
        rng = np.random.default_rng(0)
        people = [draw_facts(rng, share_high_grade=0.75, share_several=0.2) for _ in range(400)]
        labels = np.repeat(np.array([0, 1, 3], dtype=np.uint8), 2000)
        days = np.array([float(facts_of(person, [lesion(0.5)], labels, 2.0)["survival_days"]) for person in people])
        high = np.array([person.high_grade for person in people])
        age = np.array([person.age for person in people])
        assert high.mean() == pytest.approx(0.75, abs=0.07)
        assert np.median(age[high]) > np.median(age[~high]) + 10
        assert np.median(days[~high]) > 3 * np.median(days[high])
        assert 250 < np.median(days[high]) < 600

    def test_a_large_core_shortens_survival(self) -> None:
        person = draw_facts(np.random.default_rng(1), 1.0, 0.0)
        small, large = (np.repeat(np.array([0, 1, 3], dtype=np.uint8), n) for n in (500, 5000))
        days = [facts_of(person, [lesion(0.5)], labels, 2.0)["survival_days"] for labels in (small, large)]
        assert float(days[0]) > float(days[1])
