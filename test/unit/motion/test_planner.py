"""The laws of planned motion on one script with everything in it, and scripts that cannot be done."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ego_perception.body.skeleton import joint_index
from ego_perception.geometry import make_transform, so3_log
from ego_perception.motion import Gaze, Grip, MotionClip, MotionError, Physique, Planner, Script, Start, plan
from ego_perception.motion import script as ask
from ego_perception.motion.joint_limits import joint_excess
from test.unit.motion.conftest import MUG, MUG_SIZE, frames_of

HERE = Start((0.0, 0.0), 0.0)
WAY = np.array([[0.0, 0.0], [1.0, 0.0]])
BOTTLE = make_transform(np.eye(3), (0.42, -0.12, 0.9))
BOTTLE_SIZE = (0.07, 0.07, 0.22)


def when(clip: MotionClip, name: str) -> np.ndarray:
    return np.flatnonzero(np.array(clip.activity) == name)


@pytest.mark.parametrize("rate_hz", [60, 30, 15])
def test_planted_feet_do_not_skate(day: MotionClip, physique: Physique, rate_hz: int) -> None:
    states = [day.at(k / rate_hz) for k in range(int(day.duration_s * rate_hz))]
    contact = np.array([day.contact_at(k / rate_hz) for k in range(len(states))])
    clip_frames = frames_of(
        physique,
        MotionClip(day.betas, np.arange(len(states)) / rate_hz, np.stack([s.rotations for s in states]),
                   np.stack([s.transl for s in states]), np.zeros((len(states), 2, 5)), contact, ("",) * len(states)),
    )  # fmt: skip
    for f, side in enumerate(("left", "right")):
        both = contact[1:, f] & contact[:-1, f]
        assert 0.5 < contact[:, f].mean() < 0.95
        for joint in (f"{side}_ankle", f"{side}_foot"):
            moved = np.linalg.norm(np.diff(clip_frames.positions[:, joint_index(joint)], axis=0), axis=1)
            assert moved[both].max() < 1e-6


def test_joints_stay_in_range_and_move_smoothly(day: MotionClip) -> None:
    assert np.degrees(joint_excess(day.rotations).max()) < 3.0
    turns = so3_log(np.swapaxes(day.rotations[:-1], 2, 3).reshape(-1, 3, 3) @ day.rotations[1:].reshape(-1, 3, 3))
    velocity = turns.reshape(-1, 24, 3) * 60
    assert np.linalg.norm(velocity, axis=2).max() < 14.0
    assert np.linalg.norm(np.diff(velocity, axis=0) * 60, axis=2).max() < 500.0, "rad/s2; a jump in velocity would be thousands"
    assert np.linalg.norm(np.diff(day.transl, 2, axis=0), axis=1).max() * 3600 < 10.0


def test_the_head_is_slow_enough_for_odometry_and_never_quite_still(day: MotionClip, physique: Physique) -> None:
    frames = frames_of(physique, day)
    head = joint_index("head")
    assert np.linalg.norm(np.diff(frames.positions[:, head], axis=0), axis=1).max() * 60 < 1.0
    R = frames.rotations[:, head]
    rate = np.linalg.norm(so3_log(np.swapaxes(R[:-1], 1, 2) @ R[1:]), axis=1) * 60
    assert rate.max() < 1.7
    standing = when(day, "gesture")[30:60]
    assert 1e-4 < rate[standing].mean() < 0.3


def test_a_walk_ends_where_it_was_asked_to(physique: Physique) -> None:
    way = np.array([[0.0, 0.0], [1.5, 0.4], [3.0, 0.0]])
    clip = plan(physique, Script(HERE, (ask.WalkTo(way, 0.75), ask.Stand(1.2))))
    end = frames_of(physique, clip).positions[-1, 0]
    np.testing.assert_allclose(end[:2], (3.0, 0.0), atol=0.02)
    assert end[2] == pytest.approx(physique.standing_pelvis_m, abs=0.015)
    speed = np.linalg.norm(np.diff(clip.transl[:, :2], axis=0), axis=1) * 60
    assert 0.55 < np.median(speed[when(clip, "walk")[60:-60]]) < 0.95


def test_an_object_is_rigid_to_the_hand_from_grasp_to_release(day: MotionClip, physique: Physique) -> None:
    (hold,) = day.holds
    frames, joint = frames_of(physique, day), joint_index("right_hand")
    assert hold.object_id == "mug" and hold.hand == 1
    for t, expected in ((hold.start_s, MUG), (hold.end_s, hold.T_world_end)):
        k = round(t * 60)
        hand = make_transform(frames.rotations[k, joint], frames.positions[k, joint])
        np.testing.assert_allclose(hand @ hold.T_hand_object, expected, atol=2e-3)
    np.testing.assert_allclose(hold.T_world_end[:3, 3], (2.4, 0.05, 0.76), atol=1e-9)
    assert hold.T_world_end[2, 2] == pytest.approx(1.0), "put down upright"
    middle = 0.5 * (hold.start_s + hold.end_s)
    assert day.held_at(middle) == ("", "mug") and day.held_at(0.0) == ("", "")
    assert day.at(middle).finger_curl[1].min() > 0.4 > day.at(0.0).finger_curl[1].max()


def test_sitting_puts_the_pelvis_on_the_seat_and_rising_takes_it_off(day: MotionClip, physique: Physique) -> None:
    pelvis = frames_of(physique, day).positions[:, 0]
    seated = pelvis[when(day, "sit")[10:]]
    np.testing.assert_allclose(seated[:, 2], 0.46 + physique.seat_drop_m, atol=1e-3)
    np.testing.assert_allclose(seated[:, :2], np.tile((2.15, 0.0), (len(seated), 1)), atol=0.01)
    after = pelvis[when(day, "gesture")[0]]
    assert after[2] == pytest.approx(physique.standing_pelvis_m, abs=0.02)


def test_a_reach_ends_at_its_target(physique: Physique) -> None:
    point = (0.45, -0.2, 1.0)
    clip = plan(physique, Script(HERE, (ask.Reach(1, point, hold_s=0.6),)))
    hand = frames_of(physique, clip).positions[:, joint_index("right_hand")]
    gap = np.linalg.norm(hand - point, axis=1)
    assert gap.min() < 0.01 and (gap < 0.01).sum() >= 20
    speed = np.linalg.norm(np.diff(hand, axis=0), axis=1) * 60
    assert speed.max() < 3.0, "a hand does not jump"


@pytest.mark.parametrize("grip", list(Grip))
def test_every_grip_brings_its_hands_to_the_object(physique: Physique, grip: Grip) -> None:
    size = {Grip.SIDE: BOTTLE_SIZE, Grip.TOP: (0.2, 0.15, 0.03), Grip.BOTH: (0.26, 0.2, 0.2)}[grip]
    T = make_transform(np.eye(3), (0.42, 0.0, 0.9))
    clip = plan(physique, Script(HERE, (ask.PickUp("x", T, size, 1, grip), ask.Stand(0.5), ask.PutDown((0.4, 0.1, 0.9)))))
    (hold,) = clip.holds
    frames, k = frames_of(physique, clip), round(hold.start_s * 60)
    hands = frames.positions[k, [joint_index("left_hand"), joint_index("right_hand")]]
    away = np.linalg.norm(hands - (T[:3, 3] + [0, 0, size[2] / 2]), axis=1)
    assert away[1] < 0.5 * max(size) + 0.08
    assert (away[0] < 0.25) == (grip is Grip.BOTH)
    if grip is Grip.BOTH:
        during = slice(k + 10, round(hold.end_s * 60) - 10)
        between = frames.positions[during, joint_index("left_hand")] - frames.positions[during, joint_index("right_hand")]
        assert np.ptp(np.linalg.norm(between, axis=1)) < 0.01, "two hands on one rigid thing"


def test_a_thing_goes_from_hand_to_hand(physique: Physique) -> None:
    start = Start((1.0, 0.0), math.pi, carrying=ask.Carrying("cup", MUG_SIZE, 1))
    giver = plan(physique, Script(start, (ask.Offer((0.5, 0.04, 1.05), 3.0),)))
    (given_away,) = giver.holds
    taker = plan(physique, Script(HERE, (ask.Take("cup", given_away.T_world_end, MUG_SIZE, 1, 3.0),)))
    (taken,) = taker.holds
    assert given_away.start_s == 0.0 and given_away.end_s == taken.start_s == 3.0
    np.testing.assert_allclose(given_away.T_world_end[:3, 3], (0.5, 0.04, 1.05), atol=1e-9)
    frames, joint = frames_of(physique, taker), joint_index("right_hand")
    hand = make_transform(frames.rotations[180, joint], frames.positions[180, joint])
    np.testing.assert_allclose((hand @ taken.T_hand_object)[:3, 3], (0.5, 0.04, 1.05), atol=0.006)


def test_a_seated_start_sits(physique: Physique) -> None:
    clip = plan(physique, Script(Start((0.0, 0.0), 1.0, seat_height=0.45), (ask.Stand(0.5), ask.StandUp(), ask.Stand(1.0))))
    pelvis = frames_of(physique, clip).positions[:, 0]
    assert pelvis[0, 2] == pytest.approx(0.45 + physique.seat_drop_m, abs=0.005)
    np.testing.assert_allclose(pelvis[0, :2], 0.0, atol=0.01)
    assert pelvis[-1, :2] @ (math.cos(1.0), math.sin(1.0)) > 0.3


def test_the_gaze_finds_its_target(physique: Physique) -> None:
    target = np.array([2.0, 1.2, 1.5])
    clip = plan(physique, Script(HERE, (ask.Stand(3.0, gaze=(Gaze(tuple(target)),), still=True),)))
    frames = frames_of(physique, clip)
    nose = frames.rotations[-30, joint_index("head"), :, 2]
    wanted = math.atan2(target[1], target[0] - 0.05)
    assert math.atan2(nose[1], nose[0]) == pytest.approx(wanted, abs=0.1)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.floats(0.5, 1.4), st.floats(-0.9, 0.9)), min_size=1, max_size=4),
    st.floats(-3, 3),
    st.floats(0.4, 0.9),
)
def test_any_walk_keeps_the_laws(physique: Physique, legs: list[tuple[float, float]], heading: float, speed: float) -> None:
    points, direction = [np.zeros(2)], 0.2
    for length, turn in legs:
        direction += turn
        points.append(points[-1] + length * np.array([math.cos(direction), math.sin(direction)]))
    clip = plan(physique, Script(Start((0.0, 0.0), heading), (ask.WalkTo(np.array(points), speed), ask.Stand(0.8))))
    frames = frames_of(physique, clip)
    np.testing.assert_allclose(frames.positions[-1, 0, :2], points[-1], atol=0.03)
    for f, side in enumerate(("left", "right")):
        both = clip.foot_contact[1:, f] & clip.foot_contact[:-1, f]
        moved = np.linalg.norm(np.diff(frames.positions[:, joint_index(f"{side}_ankle")], axis=0), axis=1)
        assert moved[both].max() < 1e-6
    assert frames.positions[..., 2].min() > 0.0
    assert np.degrees(joint_excess(clip.rotations).max()) < 8.0


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ((ask.StandUp(),), "stands already"),
        ((ask.SitDown((-0.3, 0.0), 0.45), ask.WalkTo(WAY)), "stand up first"),
        ((ask.SitDown((-2.0, 0.0), 0.45),), "back to it"),
        ((ask.SitDown((-0.3, 0.0), 1.4),), "0.3 to 0.75 m"),
        ((ask.WalkTo(WAY + 3.0),), "the way begins"),
        ((ask.WalkTo(WAY[:1]),), "N > 1"),
        ((ask.WalkTo(np.array([[0.0, 0.0], [np.nan, 1.0]])),), "finite"),
        ((ask.WalkTo(WAY, speed=4.0),), "walking speed"),
        ((ask.TurnTo(math.inf),), "finite"),
        ((ask.Stand(-1.0),), "positive duration"),
        ((ask.Reach(2, (0.4, 0.0, 1.0)),), "0 .left. or 1 .right."),
        ((ask.Reach(1, (3.0, 0.0, 1.0)),), "out of reach"),
        ((ask.Reach(1, (math.nan, 0.0, 1.0)),), "finite"),
        ((ask.PutDown((0.4, 0.0, 0.9)),), "nothing is held"),
        ((ask.Inspect(1.0),), "nothing is held"),
        ((ask.PickUp("b", BOTTLE, (0.0, 0.1, 0.1), 1),), "positive size"),
        ((ask.PickUp("b", BOTTLE[:3], BOTTLE_SIZE, 1),), "finite .4, 4."),
        ((ask.PickUp("b", BOTTLE, BOTTLE_SIZE, 1), ask.Wave(1)), "it is full"),
        ((ask.Stand(3.0), ask.Take("b", BOTTLE, BOTTLE_SIZE, 1, 3.2)), "at least 1 s"),
        ((object(),), "no way to do object"),
    ],
)  # fmt: skip
def test_bad_scripts_are_refused(physique: Physique, tasks: tuple[ask.Task, ...], message: str) -> None:
    with pytest.raises(MotionError, match=message):
        plan(physique, Script(HERE, tasks))


def test_plans_are_repeatable_and_a_longer_clip_only_goes_on(physique: Physique) -> None:
    script = Script(HERE, (ask.WalkTo(WAY), ask.Wave(1)))
    a, b, longer = plan(physique, script), plan(physique, script), plan(physique, script, duration_s=12.0)
    np.testing.assert_array_equal(a.rotations, b.rotations)
    np.testing.assert_allclose(longer.rotations[: len(a.times) - 90], a.rotations[:-90], atol=1e-6)
    assert longer.duration_s == pytest.approx(12.0)


def test_tasks_can_be_added_one_by_one(physique: Physique) -> None:
    planner = Planner(physique, Script(HERE, ()))
    planner.add(ask.WalkTo(WAY))
    assert planner.ending.end_s > 1.5 and not planner.ending.is_seated
    np.testing.assert_allclose(planner.ending.place, (1.0, 0.0), atol=1e-6)
