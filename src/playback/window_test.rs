//! Which fragments a window keeps.

use kinora_base::{FragmentNumber, ManualClock, StreamName};
use kinora_store::{Begin, ConfigurationId, Finish, Options, State, Store};

use super::*;

const T0: WallTime = WallTime::from_millis(1_800_000_000_000);

fn fragment(number: u64, start_s: i64, duration_s: u64) -> Fragment {
    Fragment {
        number: FragmentNumber::new(number).unwrap(),
        ordinal: number,
        producer_time: T0.offset_micros(start_s * 1_000_000),
        server_time: T0,
        media_us: 0,
        duration_us: duration_s * 1_000_000,
        bytes: 250_000,
        configuration: ConfigurationId(1),
        flags: Flags::KEY_FRAME_START,
        content_crc: 0,
        discontinuities: 0,
        state: State::Persisted,
    }
}

fn numbers(fragments: &[Fragment]) -> Vec<u64> {
    fragments.iter().map(|f| f.number.get()).collect()
}

#[test]
fn live_shows_half_a_minute_or_six_fragments() {
    let seconds: Vec<Fragment> = (1..=100).map(|n| fragment(n, n as i64, 1)).collect();
    assert_eq!(numbers(&live(seconds)), (71..=100).collect::<Vec<_>>());
    let long: Vec<Fragment> = (1..=10).map(|n| fragment(n, 20 * n as i64, 20)).collect();
    assert_eq!(numbers(&live(long)), (5..=10).collect::<Vec<_>>());
    assert_eq!(numbers(&live(vec![fragment(1, 0, 1)])), [1]);
}

#[test]
fn what_was_sent_again_replaces_what_was_cut_short() {
    let cut = fragment(2, 2, 1);
    let again = fragment(3, 2, 2);
    let kept = without_overlaps(vec![fragment(1, 0, 2), cut, again, fragment(4, 4, 2)]);
    assert_eq!(numbers(&kept), [1, 3, 4]);
}

#[test]
fn media_that_shows_the_same_time_twice_is_played_once() {
    let late = fragment(9, 3, 2);
    let kept = without_overlaps(vec![fragment(1, 0, 2), fragment(2, 2, 2), late, fragment(3, 4, 2)]);
    assert_eq!(numbers(&kept), [1, 2, 3]);
}

#[test]
fn what_is_too_much_for_a_playlist_is_read_no_further_and_said_to_be_more() {
    let query =
        Query { axis: Axis::Producer, start: None, end: None, descending: false, after: None, limit: 1 };
    let stored = |count: u64| {
        move |query: &Query| {
            let first = query.after.map_or(1, |after| after.number.get() + 1);
            let page = first..(count + 1).min(first + query.limit as u64);
            Ok(page.map(|number| fragment(number, number as i64, 1)).collect())
        }
    };
    let most = 2 * MAX_ENTRIES as u64;
    let (all, more) = up_to_full(query, stored(most)).unwrap();
    assert_eq!((numbers(&all), more), ((1..=most).collect(), None));
    let (some, more) = up_to_full(query, stored(u64::MAX - 1)).unwrap();
    assert_eq!(some.len(), 2 * MAX_ENTRIES + PAGE);
    assert_eq!(more, some.last().map(Fragment::producer_end));
}

/// A stream with `count` fragments of a second each from time 0 on, and the means to add more.
fn long_stream(folder: &std::path::Path, count: i64) -> (Store, Arc<Stream>, impl FnMut(i64)) {
    let clock = Arc::new(ManualClock::at(WallTime::EARLIEST));
    let store = Store::open(folder, Options::default(), clock).unwrap();
    let stream = store.create_stream(&StreamName::new("cam").unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut writer = runtime.block_on(stream.writer()).unwrap();
    let configuration = writer.configuration(&bytes::Bytes::from_static(b"c")).unwrap();
    let mut put = move |second: i64, wait: bool| {
        let begin = Begin {
            producer_time: WallTime::EARLIEST.offset_micros(second * 1_000_000),
            server_time: WallTime::EARLIEST,
            media_us: 0,
            configuration,
            discontinuity: false,
        };
        writer.begin(begin).unwrap();
        let head = bytes::Bytes::copy_from_slice(&second.to_le_bytes());
        let finish = Finish {
            duration_us: 1_000_000,
            flags: Flags::KEY_FRAME_START,
            head: head.clone(),
            data: vec![head],
        };
        let finished = writer.finish(finish).unwrap();
        if wait {
            runtime.block_on(finished.durable).unwrap();
        }
    };
    for second in 0..count {
        put(second, second % 200 == 199 || second == count - 1);
    }
    (store, stream, move |second| put(second, true))
}

#[test]
fn a_span_of_more_than_a_playlist_shows_ends_where_the_next_one_begins() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let most = MAX_ENTRIES as i64;
    let (_store, stream, mut put) = long_stream(folder.path(), most + 100);
    let second = |second: i64| WallTime::EARLIEST.offset_micros(second * 1_000_000);
    let shown = |span| {
        let window = Window::of(&stream, span).unwrap();
        let entries = window.entries.iter().map(|entry| entry.fragment.number.get() as i64);
        (entries.collect::<Vec<_>>(), window.rest)
    };
    let first = (1..=most).collect::<Vec<_>>();
    assert_eq!(shown(Span::From(second(0))), (first.clone(), Some(second(most))));
    assert_eq!(shown(Span::Range(second(0), second(most * 2))), (first.clone(), Some(second(most))));
    assert_eq!(shown(Span::From(second(most))).0, (most + 1..=most + 100).collect::<Vec<_>>());
    assert_eq!(shown(Span::From(second(100))), ((101..=most + 100).collect(), None));
    // What comes late comes after what a player was shown, though it is older.
    put(3);
    assert_eq!(shown(Span::From(second(0))).0, first);
}

#[test]
fn a_configuration_that_is_lost_makes_gaps_and_no_error() {
    let folder = tempfile::tempdir().unwrap();
    // What this stream's fragments need is no configuration.
    let (_store, stream, _put) = long_stream(folder.path(), 3);
    let window = Window::of(&stream, Span::From(WallTime::EARLIEST)).unwrap();
    let found = crate::playback::Catalog::default().presentations(&stream, &window).unwrap();
    assert!(matches!(&found[..], [(ConfigurationId(1), lost)] if lost.renditions.is_empty()), "{found:?}");
}

#[test]
fn a_live_playlist_counts_the_breaks_that_are_stored_and_begins_after_what_was_lost() {
    let mut newest: Vec<Fragment> = (1..=12).map(|n| fragment(n, 2 * n as i64, 2)).collect();
    for (place, breaks) in [(0, 3), (8, 5)] {
        newest[place..].iter_mut().for_each(|fragment| fragment.discontinuities = breaks);
    }
    let breaks: Vec<usize> = (1..12).filter(|n| counted(live(newest.clone()))[*n].discontinuity).collect();
    assert_eq!(breaks, [8]);
    newest[7..].iter_mut().for_each(|fragment| fragment.ordinal += 1);
    assert_eq!(numbers(&live(newest)), (8..=12).collect::<Vec<_>>());
}

#[test]
fn a_repeat_that_breaks_off_hides_nothing() {
    let broken = |duration_s| Fragment { flags: Flags::PARTIAL, ..fragment(3, 2, duration_s) };
    let with = |again| numbers(&without_overlaps(vec![fragment(2, 2, 4), again, fragment(4, 6, 2)]));
    assert_eq!(with(broken(1)), [2, 4]);
    assert_eq!(with(broken(4)), [2, 4]);
    // Of two that broke off the longer shows more.
    assert_eq!(with(broken(5)), [3, 4]);
    // What is whole is what the producer meant, even where it is shorter.
    assert_eq!(with(fragment(3, 2, 3)), [3, 4]);
}

#[test]
fn what_reaches_past_all_others_is_played_from_its_own_start() {
    // It begins a second before the first one ends, and is all there is of the next nine.
    let long = fragment(2, 3, 10);
    let kept = without_overlaps(vec![fragment(1, 0, 4), long.clone()]);
    assert_eq!(numbers(&kept), [1, 2]);
    let breaks: Vec<bool> = entries(kept).iter().map(|e| e.discontinuity).collect();
    assert_eq!(breaks, [true, true], "time goes back where it begins");
    // Of several the one that reaches furthest; what lies inside it is not needed.
    let inside = [fragment(3, 2, 3), fragment(4, 5, 2), fragment(5, 13, 2)];
    let [shorter, within, after] = inside;
    let all = vec![fragment(1, 0, 4), shorter, long.clone(), within, after];
    assert_eq!(numbers(&without_overlaps(all)), [1, 2, 5]);
    // Two that chain past each other's ends are both needed.
    let chained = vec![fragment(1, 0, 4), long, fragment(6, 11, 10), fragment(7, 30, 2)];
    assert_eq!(numbers(&without_overlaps(chained)), [1, 2, 6, 7]);
}

#[test]
fn footage_uploaded_again_and_cut_elsewhere_is_played_once() {
    let first = (0..5).map(|n| fragment(n + 1, 2 * n as i64, 2));
    let again = (0..4).map(|n| fragment(n + 11, 2 * n as i64 + 1, 2));
    let mut all: Vec<Fragment> = first.chain(again).collect();
    all.sort_by_key(|fragment| fragment.producer_time);
    assert_eq!(numbers(&without_overlaps(all)), [1, 2, 3, 4, 5]);
}

#[test]
fn the_timeline_breaks_where_numbers_configurations_or_the_producer_say_so() {
    let mut all: Vec<Fragment> = [1, 2, 4, 5, 6].map(|n| fragment(n, 2 * n as i64, 2)).into();
    all[3].configuration = ConfigurationId(2);
    all[4].configuration = ConfigurationId(2);
    all[4].flags = Flags::KEY_FRAME_START.with(Flags::DISCONTINUITY);
    let breaks: Vec<bool> = entries(all).iter().map(|e| e.discontinuity).collect();
    assert_eq!(breaks, [true, false, true, true, true]);
}

#[test]
fn bandwidth_is_the_peak_and_the_mean() {
    let mut fragments = vec![fragment(1, 0, 1), fragment(2, 1, 1)];
    fragments[1].bytes = 750_000;
    let window = Window { span: Span::Live, entries: entries(fragments), rest: None, longest_us: 0 };
    assert_eq!(window.bandwidth(), (6_000_000, 4_000_000));
}
