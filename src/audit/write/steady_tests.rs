#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The clock on the wall, so many milliseconds after an evening in November.
fn wall(ms: i64) -> Timestamp {
    "2026-11-29T20:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_millis(ms)
}

fn reading(boot: &str, up: i64, ms: i64) -> Reading {
    Reading { wall: wall(ms), boot: boot.to_owned(), up }
}

fn began(before: &Before, now: Reading) -> (Steady, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let steady = Steady::from(folder.path(), true, before, now, (Instant::now(), "run".to_owned()));
    (steady, folder)
}

/// As the next start reads it.
fn kept(steady: &Steady) -> Before {
    let ClockFields { boot, up, drift, off, shift, doubt } = steady.fields();
    let (time, boot) = (steady.last.wall, boot.to_owned());
    Before { kept: Some(Kept { time, boot, up, drift, off, shift, doubt, jump: 0 }), newest: Some(time) }
}

fn tell(steady: &mut Steady, news: &Option<News>, seq: u64) {
    steady.body(news.as_ref().unwrap()).unwrap();
    steady.is_told(news.as_ref().unwrap(), seq);
}

#[test]
fn a_clock_that_goes_its_way_is_believed_also_over_restarts_and_sleep() {
    let (mut steady, _folder) = began(&Before::default(), reading("a", 0, 0));
    for hour in 0..400 {
        // Set right by a second now and then, to and fro.
        let (up, wall) = (hour * HOUR, hour * HOUR + (hour % 3) * 1_000);
        assert_eq!(steady.at(reading("a", up, wall), None), None, "{hour}");
        if hour % 7 == 0 {
            steady = began(&kept(&steady), reading("a", up, wall)).0;
        }
    }
    assert_eq!(steady.margin(), Some(Margin { off: 0, shift: 0 }));
}

#[test]
fn jumps_and_small_steps_either_way_stop_everything_until_somebody_confirms() {
    for days in [100, -100] {
        for steps in [1, 10, 1_000] {
            let (mut steady, folder) = began(&Before::default(), reading("a", 0, 0));
            let mut told = None;
            for step in 1..=steps {
                let now = reading("a", step * 1_000, step * 1_000 + days * DAY * step / steps);
                told = steady.at(now, None);
                if told.is_some() {
                    break;
                }
                assert!((days * DAY * step / steps).abs() <= HOUR, "{days} days in {steps} steps: {step}");
            }
            assert!(matches!(told, Some(News::Jumped(_))), "{days} days in {steps} steps");
            assert_eq!(steady.margin(), None, "nothing is destroyed before it is told, either");
            tell(&mut steady, &told, 17);
            assert_eq!(steady.margin(), None);
            // The doubt outlives the process, and a restart of the machine.
            let again = began(&kept(&steady), reading("a", 9_000_000, days * DAY + 9_000_000)).0;
            assert_eq!((again.margin(), again.doubt), (None, Some(17)));
            let again = began(&kept(&steady), reading("b", 1_000, days * DAY + 9_000_000)).0;
            assert_eq!((again.margin(), again.doubt), (None, Some(17)));
            // Back where it was: that is a jump too, and no confirmation.
            let up = steady.last.up + 1_000;
            steady.told = None;
            let back = steady.at(reading("a", up, up), None);
            if steps == 1 {
                tell(&mut steady, &back, 18);
                assert_eq!((steady.shift, steady.margin()), (0, None));
            }
            drop(folder);
        }
    }
}

#[test]
fn a_machine_that_was_off_is_believed_a_week_in_all() {
    let (steady, _folder) = began(&Before::default(), reading("a", 0, 0));
    let mut before = kept(&steady);
    for (round, day) in [(1, 3), (2, 6)] {
        let (again, _) = began(&before, reading(&format!("boot {round}"), 10, day * DAY));
        assert_eq!(again.margin(), Some(Margin { off: day * DAY / 1000, shift: 0 }), "{day}");
        before = kept(&again);
    }
    let (mut last, _folder) = began(&before, reading("boot 3", 10, 9 * DAY));
    assert_eq!(last.margin(), None);
    let told = last.at(reading("boot 3", 20, 9 * DAY + 10), None);
    assert!(matches!(told, Some(News::Jumped(_))), "{told:?}");
    tell(&mut last, &told, 5);
    assert_eq!(last.shift, 0, "nobody knows that it jumped");
    // Where nothing is destroyed by age it is nobody's affair.
    let folder = tempfile::tempdir().unwrap();
    let indifferent =
        Steady::from(folder.path(), false, &before, reading("boot 3", 10, 900 * DAY), (Instant::now(), String::new()));
    assert!(indifferent.margin().is_some());
}

#[test]
fn a_machine_whose_clock_stands_before_the_log_after_a_start_is_in_doubt() {
    let (steady, _folder) = began(&Before::default(), reading("a", 0, 0));
    let (again, _) = began(&kept(&steady), reading("b", 10, -2 * HOUR));
    assert_eq!(again.margin(), None);
    // A container's own time since its start goes back while the machine goes on.
    let (steady, _folder) = began(&Before::default(), reading("a", 5_000, 0));
    let (again, _) = began(&kept(&steady), reading("a", 10, 60_000));
    assert_eq!(again.margin(), Some(Margin { off: 60, shift: 0 }));
}

#[test]
fn seconds_since_the_start_are_read_as_the_kernel_writes_them() {
    for (text, ms) in
        [("350735.47", Some(350_735_470)), ("0.05", Some(50)), ("7", Some(7_000)), ("x", None), ("", None)]
    {
        assert_eq!(milliseconds(text), ms, "{text}");
    }
}
