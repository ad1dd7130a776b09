//! Listing against a naive model: late data, both orders, all axes, pages, reopening anywhere.

use bytes::Bytes;
use kinora_base::WallTime;
use kinora_store::{Axis, Cursor, Fragment, Query, Run, Store, Stream};
use proptest::prelude::*;

use super::harness::*;

/// What a query must give, from the plain list of everything.
fn expected(all: &[Fragment], query: &Query) -> Vec<Fragment> {
    let key = |f: &Fragment| match query.axis {
        Axis::Producer => (f.producer_time, f.number),
        Axis::Server => (f.server_time, f.number),
        Axis::Arrival => (START, f.number),
    };
    let start = |f: &Fragment| if query.axis == Axis::Producer { f.producer_time } else { f.server_time };
    let mut found: Vec<Fragment> = all
        .iter()
        .filter(|f| query.start.is_none_or(|from| start(f).offset_micros(f.duration_us as i64) > from))
        .filter(|f| query.end.is_none_or(|to| start(f) < to))
        .cloned()
        .collect();
    found.sort_by_key(|f| key(f));
    if query.descending {
        found.reverse();
    }
    if let Some(cursor) = query.after {
        let at = if query.axis == Axis::Arrival { START } else { cursor.time };
        let cursor = (at, cursor.number);
        found.retain(|f| if query.descending { key(f) < cursor } else { key(f) > cursor });
    }
    found.truncate(query.limit);
    found
}

/// The runs of the fragments that overlap a range, one fragment at a time.
fn expected_runs(all: &[Fragment], start: WallTime, end: WallTime) -> Vec<Run> {
    let mut sorted: Vec<_> =
        all.iter().filter(|f| f.producer_end() > start && f.producer_time < end).collect();
    sorted.sort_by_key(|f| (f.producer_time, f.producer_end()));
    let mut runs: Vec<Run> = Vec::new();
    for f in sorted {
        let (bytes, end) = (u64::from(f.bytes), f.producer_end());
        match runs.last_mut() {
            Some(run) if f.producer_time.micros_since(run.end) <= Run::LARGEST_HOLE_US => {
                run.end = run.end.max(end);
                run.fragments += 1;
                run.bytes += bytes;
            }
            _ => runs.push(Run { start: f.producer_time, end, fragments: 1, bytes }),
        }
    }
    runs
}

#[derive(Debug, Clone)]
enum Step {
    Put { producer_ms: i64, server_ms: i64, duration_ms: u64, bytes: usize },
    Reopen,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let put = (0..200_i64, 0..200_i64, 0..4000_u64, 0..5000_usize, 0..4_u8).prop_map(
        |(producer, server, duration_ms, bytes, late)| Step::Put {
            // Mostly in order (made so below), sometimes anywhere.
            producer_ms: if late == 0 { producer * 1000 } else { -1 },
            server_ms: if late == 1 { server * 1000 } else { -1 },
            duration_ms,
            bytes,
        },
    );
    prop_oneof![20 => put, 1 => Just(Step::Reopen), 1 => Just(Step::Crash)]
}

fn query() -> impl Strategy<Value = Query> {
    let time = || proptest::option::of((0..210_i64).prop_map(|s| at(s * 1000)));
    let axis = prop_oneof![Just(Axis::Producer), Just(Axis::Server), Just(Axis::Arrival)];
    (axis, time(), time(), any::<bool>(), 1..12_usize).prop_map(|(axis, start, end, descending, limit)| {
        Query { axis, start, end, descending, after: None, limit }
    })
}

/// Reads page after page.
fn pages(stream: &Stream, mut query: Query) -> Vec<Fragment> {
    let mut all = Vec::new();
    loop {
        let page = stream.fragments(&query).unwrap();
        assert!(page.len() <= query.limit);
        let Some(last) = page.last() else { return all };
        query.after = Some(Cursor { time: last.start(query.axis), number: last.number });
        all.extend(page);
    }
}

fn check(stream: &Stream, all: &[Fragment], queries: &[Query]) {
    for query in queries {
        let whole = Query { limit: usize::MAX, ..*query };
        assert_eq!(stream.fragments(query).unwrap(), expected(all, query), "{query:?}");
        assert_eq!(pages(stream, *query), expected(all, &whole), "pages of {query:?}");
        let (start, end) = (query.start.unwrap_or(at(0)), query.end.unwrap_or(at(210_000)));
        if start < end {
            let timeline = stream.timeline((start, end), None, START).unwrap();
            let inside = |runs: Vec<Run>| {
                runs.iter().map(|r| (r.start.max(start), r.end.min(end))).collect::<Vec<_>>()
            };
            let (found, expected) = (inside(timeline.runs), inside(expected_runs(all, start, end)));
            // Of a long stretch whole runs of segments are told: at its ends they may go on after a
            // hole that is too small to be an absence.
            let near = |a: WallTime, b: WallTime| a.micros_since(b).abs() <= Run::LARGEST_HOLE_US;
            let alike = found.iter().zip(&expected).all(|(a, b)| near(a.0, b.0) && near(a.1, b.1));
            assert!(alike && found.len() == expected.len(), "{query:?}: {found:?}, not {expected:?}");
        }
    }
    for count in [0, 1, 3, 40, 1000] {
        let tail = stream.tail(count).unwrap().fragments;
        assert_eq!(tail, all[all.len().saturating_sub(count)..]);
    }
    for fragment in all {
        assert_eq!(&stream.fragment(fragment.number).unwrap(), fragment);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lists_are_what_a_naive_search_finds(
        steps in proptest::collection::vec(step(), 1..120),
        queries in proptest::collection::vec(query(), 6),
    ) {
        let folder = memory_folder();
        let mut store = open(folder.path());
        let mut stream = store.create_stream(&name("cam")).unwrap();
        let mut handle = Some(writer(&stream));
        let mut all = Vec::new();
        let mut clock_ms = 0;
        for step in steps {
            match step {
                Step::Put { producer_ms, server_ms, duration_ms, bytes } => {
                    clock_ms += 1000;
                    let pick = |ms: i64| at(if ms < 0 { clock_ms } else { ms });
                    let take = Take {
                        producer: pick(producer_ms),
                        server: pick(server_ms),
                        duration_us: duration_ms * 1000,
                        payload: payload(clock_ms as u64, bytes),
                    };
                    let mut fragment = store_one(handle.as_mut().unwrap(), &take);
                    fragment.state = kinora_store::State::Persisted;
                    all.push(fragment);
                }
                Step::Reopen | Step::Crash => {
                    drop(handle.take());
                    if matches!(step, Step::Reopen) {
                        store.close();
                    }
                    drop(stream);
                    drop(store);
                    store = open(folder.path());
                    stream = store.stream(&name("cam")).unwrap();
                    check(&stream, &all, &queries[..2]);
                    handle = Some(writer(&stream));
                }
            }
        }
        check(&stream, &all, &queries);
    }
}

#[test]
fn a_fragment_keeps_media_time_discontinuities_and_the_checksum_of_its_content() {
    let folder = memory_folder();
    let facts = |store: &Store| {
        let stream = store.stream(&name("cam")).unwrap();
        let all = stream.tail(100).unwrap().fragments;
        all.iter().map(|f| (f.media_us, f.discontinuities, f.content_crc)).collect::<Vec<_>>()
    };
    let mut expected = Vec::new();
    for round in 0..3 {
        let store = open(folder.path());
        let stream = store.create_stream(&name("cam")).unwrap();
        let mut to = writer(&stream);
        for n in 0..4 {
            let take = Take::at(round * 10_000 + n * 1000, payload(n as u64, 1000));
            let id = to.configuration(&Bytes::from_static(b"configuration")).unwrap();
            to.begin(kinora_store::Begin {
                producer_time: take.producer,
                server_time: take.server,
                media_us: n * 1000 - 1,
                configuration: id,
                discontinuity: n % 2 == 0,
            })
            .unwrap();
            let finished = to
                .finish(kinora_store::Finish {
                    duration_us: take.duration_us,
                    flags: kinora_store::Flags::default(),
                    // What differs from round to round is no part of the content.
                    head: Bytes::from(format!("head {round}")),
                    data: vec![take.payload.slice(..7), take.payload.slice(7..)],
                })
                .unwrap();
            wait(finished.durable).unwrap();
            let crc = crc32c::crc32c(&take.payload);
            expected.push((n * 1000 - 1, (round * 2 + n / 2 + 1) as u32, crc));
        }
        assert_eq!(facts(&store), expected);
        drop(to);
        if round % 2 == 0 {
            store.close();
        } else {
            drop(store);
        }
        assert_eq!(facts(&open(folder.path())), expected, "after a restart");
    }
}
