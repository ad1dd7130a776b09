//! Where fragments and parts are cut, and what times they get.

use bytes::Bytes;
use kinora_media::packed::Head;
use kinora_media::{Codec, Shape};

use super::*;

const NOW: WallTime = WallTime::from_millis(1_800_000_000_000);
const VIDEO: u32 = 1;
const AUDIO: u32 = 2;

fn video_track() -> Track {
    Track {
        number: VIDEO,
        codec: Codec::H264,
        timescale: 1000,
        configuration: Bytes::from_static(b"avc"),
        shape: Shape::Video { width: 640, height: 360 },
        reorder_depth: 0,
        default_duration_ticks: 0,
        language: String::new(),
        name: String::new(),
    }
}

fn audio_track() -> Track {
    let shape = Shape::Audio { sample_rate: 48_000, channels: 2, bits_per_sample: 0 };
    Track { number: AUDIO, codec: Codec::Aac, timescale: 48_000, shape, ..video_track() }
}

/// A fragment as the steps tell it.
#[derive(Debug)]
struct Told {
    timecode: i64,
    producer_ms: i64,
    discontinuity: bool,
    parts: Vec<Part>,
    duration_us: u64,
    flags: Flags,
    head: Head,
    payload: Vec<Bytes>,
}

impl Told {
    fn samples(&self, track: u32) -> Vec<Sample> {
        self.head.samples(&self.payload).into_iter().filter(|s| s.track == track).collect()
    }
}

struct Bench {
    assembler: Assembler,
    now: WallTime,
    /// What the container says of an audio frame's duration; 0 if nothing.
    audio_ticks: u32,
}

impl Bench {
    fn new(timing: Timing, tracks: Vec<Track>) -> Self {
        let mut assembler = Assembler::new(CutSettings::default(), timing);
        assembler.tracks(&tracks.into(), NOW);
        Self { assembler, now: NOW, audio_ticks: 0 }
    }

    fn video(&mut self, ms: i64, sync: bool) {
        let data = vec![u8::from(sync); 100].into();
        let sample = Sample { track: VIDEO, dts_ticks: ms, pts_ticks: ms, duration_ticks: 0, sync, data };
        self.assembler.sample(sample, self.now);
    }

    fn audio(&mut self, frame: i64) {
        let ticks = frame * 1024;
        let data = Bytes::from_static(b"aac");
        let sample = Sample {
            track: AUDIO,
            dts_ticks: ticks,
            pts_ticks: ticks,
            duration_ticks: self.audio_ticks,
            sync: true,
            data,
        };
        self.assembler.sample(sample, self.now);
    }

    /// A Cluster begins.
    fn boundary(&mut self, timecode: i64) {
        self.assembler.boundary(Boundary { timecode, timescale: 1000 }, self.now);
    }

    /// 25 frames per second with a key frame every second, and AAC, interleaved by time.
    fn interleaved(&mut self, from_ms: i64, to_ms: i64) {
        let mut frame = from_ms * 48 / 1024;
        for ms in (from_ms..to_ms).step_by(40) {
            self.video(ms, ms % 1000 == 0);
            while frame * 1024 / 48 < ms + 40 {
                self.audio(frame);
                frame += 1;
            }
        }
    }

    fn end(mut self) -> Vec<Told> {
        self.assembler.end(true, self.now);
        self.told()
    }

    fn told(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        let mut begun = None;
        let mut parts = Vec::new();
        while let Some(step) = self.assembler.next_step() {
            match step {
                Step::Configure(_) => assert!(begun.is_none(), "a configuration inside a fragment"),
                Step::Begin { timecode, producer_time, discontinuity, .. } => {
                    assert!(begun.is_none(), "a fragment began inside another");
                    begun = Some((timecode, producer_time.as_millis(), discontinuity));
                }
                Step::Part(part) => parts.push(part),
                Step::Finish { duration_us, flags, head, data } => {
                    let (timecode, producer_ms, discontinuity) = begun.take().unwrap();
                    let payload = [vec![head], data].concat();
                    let bytes = payload.iter().map(Bytes::len).sum::<usize>() as u64;
                    told.push(Told {
                        timecode,
                        producer_ms,
                        discontinuity,
                        parts: std::mem::take(&mut parts),
                        duration_us,
                        flags,
                        head: Head::parse(&payload[0], bytes).unwrap(),
                        payload,
                    });
                }
            }
        }
        told
    }
}

#[test]
fn a_fragment_begins_at_each_key_frame_and_loses_no_sample() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
    bench.interleaved(0, 5000);
    let told = bench.end();
    assert_eq!(told.len(), 5);
    for (second, fragment) in (0..).zip(&told) {
        assert_eq!(fragment.producer_ms, NOW.as_millis() + second * 1000);
        assert_eq!(fragment.duration_us, 1_000_000);
        assert_eq!(fragment.discontinuity, second == 0);
        assert!(fragment.flags.has(Flags::KEY_FRAME_START) && !fragment.flags.has(Flags::PARTIAL));
        let video = fragment.samples(VIDEO);
        assert_eq!(video.len(), 25);
        assert!(video[0].sync && video.iter().skip(1).all(|s| !s.sync));
        assert!(video.iter().all(|s| s.duration_ticks == 40));
    }
    let audio: Vec<i64> = told.iter().flat_map(|f| f.samples(AUDIO)).map(|s| s.dts_ticks / 1024).collect();
    assert_eq!(audio, (0..=audio.len() as i64 - 1).collect::<Vec<_>>());
    assert!(told.iter().flat_map(|f| f.samples(AUDIO)).all(|s| s.duration_ticks == 1024));
}

#[test]
fn parts_are_short_and_add_up_to_their_fragment() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
    bench.interleaved(0, 3000);
    for fragment in bench.end() {
        assert_eq!(fragment.parts.len(), 5);
        let mut together = Vec::new();
        for (index, part) in fragment.parts.iter().enumerate() {
            assert_eq!(part.index as usize, index);
            assert_eq!(part.independent, index == 0);
            let bytes = part.data.iter().map(Bytes::len).sum::<usize>() as u64;
            let read = Head::parse_part(&part.head, bytes).unwrap().samples(&part.data);
            let video_ticks: u32 = read.iter().filter(|s| s.track == VIDEO).map(|s| s.duration_ticks).sum();
            assert_eq!(video_ticks, 200);
            together.extend(read);
        }
        assert_eq!(together, fragment.head.samples(&fragment.payload));
    }
}

#[test]
fn audio_that_comes_first_waits_for_the_key_frame() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
    for frame in 0..20 {
        bench.audio(frame);
    }
    bench.interleaved(0, 2000);
    let told = bench.end();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].producer_ms, NOW.as_millis());
    assert!(told[0].flags.has(Flags::KEY_FRAME_START));
}

#[test]
fn a_stream_without_key_frames_is_cut_at_the_limit_and_marked() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track()]);
    for ms in (40..65_000).step_by(40) {
        bench.video(ms, false);
    }
    let told = bench.end();
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|f| !f.flags.has(Flags::KEY_FRAME_START)));
    assert!(told.iter().all(|f| f.duration_us <= 20_000_000));
    assert_eq!(told.iter().map(|f| f.samples(VIDEO).len()).sum::<usize>(), 1624);
}

#[test]
fn bytes_are_limited_too() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track()]);
    bench.assembler.settings.max_fragment_bytes = 1000;
    for n in 0..25 {
        bench.video(n * 40, n == 0);
    }
    let told = bench.end();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|f| f.samples(VIDEO).len() <= 10));
    assert!(told.iter().skip(1).all(|f| !f.flags.has(Flags::KEY_FRAME_START) && !f.discontinuity));
}

#[test]
fn samples_are_limited_too() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
    bench.video(0, true);
    for _ in 0..2 * MAX_SAMPLES {
        // Equal times: neither media time nor bytes grow much.
        bench.audio(0);
    }
    let told = bench.end();
    assert!(told.len() >= 2);
    assert!(told.iter().all(|f| f.head.rows().count() <= MAX_SAMPLES + 1));
}

#[test]
fn data_does_not_wait_for_a_picture_for_ever() {
    let shape = Shape::Data;
    let data = Track {
        number: 3,
        shape,
        codec: Codec::Other { kind: TrackKind::Data, id: "D".into() },
        ..video_track()
    };
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), data]);
    for n in 0..2 * MAX_WAITING_SAMPLES as i64 {
        let bytes = Bytes::from_static(b"1");
        let sample =
            Sample { track: 3, dts_ticks: n, pts_ticks: n, duration_ticks: 0, sync: true, data: bytes };
        bench.assembler.sample(sample, NOW);
    }
    assert!(bench.assembler.queued_samples() <= MAX_WAITING_SAMPLES);
}

#[test]
fn audio_alone_is_cut_by_time() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![audio_track()]);
    for frame in 0..(48_000 * 6 / 1024) {
        bench.audio(frame);
    }
    let told = bench.end();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|f| f.flags.has(Flags::KEY_FRAME_START)));
    assert_eq!(told[1].duration_us / 1000, 2005);
    assert!(!told[1].discontinuity);
}

#[test]
fn audio_that_says_how_long_it_lasts_stays_with_the_picture_it_came_with() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
    bench.audio_ticks = 1024;
    bench.interleaved(0, 3000);
    let told = bench.end();
    let audio = |n: usize| told[n].samples(AUDIO).iter().map(|s| s.dts_ticks / 1024).collect::<Vec<_>>();
    assert_eq!(audio(0), (0..47).collect::<Vec<_>>());
    assert_eq!(audio(1).first(), Some(&47), "the frame before the key frame is not carried over");
    let mut bench = Bench::new(Timing::Start(NOW), vec![audio_track()]);
    bench.audio_ticks = 1024;
    for frame in 0..(48_000 * 6 / 1024) {
        bench.audio(frame);
    }
    let told = bench.end();
    assert_eq!(told.iter().map(|f| f.duration_us / 1000).collect::<Vec<_>>(), [2005, 2005, 1984]);
}

/// Clusters of a second as FFmpeg writes them, each beginning with the frame of sound before its
/// key frame; from second `from` on.
fn clusters(bench: &mut Bench, from: i64, to: i64) {
    let begin_ms = |frame: i64| frame * 1024 / 48;
    for second in from..to {
        bench.boundary(second * 1000);
        let reaches = |frame: &i64| begin_ms(*frame + 1) / 1000 == second;
        let mut frames = (0..to * 50).filter(reaches).peekable();
        for ms in (second * 1000..(second + 1) * 1000).step_by(40) {
            while let Some(frame) = frames.next_if(|frame| begin_ms(*frame) <= ms) {
                bench.audio(frame);
            }
            bench.video(ms, ms % 1000 == 0);
        }
    }
}

#[test]
fn a_fragment_holds_the_same_samples_wherever_its_connection_began() {
    // With durations that the container states, and without.
    for audio_ticks in [1024, 0] {
        let all = {
            let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
            bench.audio_ticks = audio_ticks;
            clusters(&mut bench, 0, 8);
            bench.end()
        };
        assert_eq!(all.len(), 8);
        for from in 1..8 {
            let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
            bench.audio_ticks = audio_ticks;
            clusters(&mut bench, from as i64, 8);
            for (again, first) in bench.end().iter().zip(&all[from..]) {
                assert_eq!(again.producer_ms, first.producer_ms);
                assert_eq!(again.samples(AUDIO), first.samples(AUDIO), "from {from}");
                assert_eq!(again.samples(VIDEO), first.samples(VIDEO), "from {from}");
            }
        }
        let audio: Vec<i64> = all.iter().flat_map(|f| f.samples(AUDIO)).map(|s| s.dts_ticks).collect();
        assert!(audio.is_sorted() && all[1].samples(AUDIO)[0].dts_ticks < 48_000);
    }
}

#[test]
fn sound_that_begins_a_cluster_stays_with_its_fragment_if_no_key_frame_follows() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
    bench.audio_ticks = 1024;
    bench.interleaved(0, 640);
    bench.boundary(640);
    bench.audio(30);
    bench.video(640, false);
    bench.interleaved(680, 1000);
    // And if no picture follows at all, it is not kept for ever.
    bench.boundary(1000);
    for frame in 47..(48_000 * 8 / 1024) {
        bench.audio(frame);
    }
    assert!(bench.assembler.lead_is_late && bench.assembler.early.samples().is_empty());
    let told = bench.end();
    let audio: Vec<i64> = told.iter().flat_map(|f| f.samples(AUDIO)).map(|s| s.dts_ticks / 1024).collect();
    assert_eq!(audio, (0..audio.len() as i64).collect::<Vec<_>>());
}

#[test]
fn what_breaks_off_before_the_key_frame_is_no_part_of_the_fragment_before() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
    bench.audio_ticks = 1024;
    bench.interleaved(0, 1000);
    let sound = |told: &[Told]| told[0].samples(AUDIO).len();
    bench.boundary(1000);
    bench.audio(47);
    bench.audio(48);
    bench.assembler.end(false, NOW);
    let told = bench.told();
    assert_eq!((told.len(), sound(&told)), (1, 47));
}

#[test]
fn sound_alone_begins_fragments_with_its_clusters() {
    let all = |from: i64| {
        let mut bench = Bench::new(Timing::Start(NOW), vec![audio_track()]);
        bench.audio_ticks = 1024;
        for frame in from * 240..5 * 240 {
            if frame % 240 == 0 {
                bench.boundary(frame * 1024 / 48);
            }
            bench.audio(frame);
        }
        bench.end().iter().map(|f| (f.producer_ms, f.samples(AUDIO).len())).collect::<Vec<_>>()
    };
    // Clusters of 5.12 s: two fragments of two seconds and the rest.
    assert_eq!(all(0).len(), 15);
    for from in 1..5 {
        assert_eq!(all(from), all(0)[from as usize * 3..]);
    }
}

#[test]
fn audio_goes_on_without_the_video_that_stopped() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
    bench.interleaved(0, 1000);
    for frame in 47..(48_000 * 40 / 1024) {
        bench.audio(frame);
    }
    bench.video(40_000, true);
    bench.video(40_040, false);
    let told = bench.end();
    let audio: Vec<i64> = told.iter().flat_map(|f| f.samples(AUDIO)).map(|s| s.dts_ticks / 1024).collect();
    assert_eq!(audio, (0..audio.len() as i64).collect::<Vec<_>>());
    let last = told.last().unwrap();
    assert_eq!(last.samples(VIDEO).len(), 2);
    assert!(last.flags.has(Flags::KEY_FRAME_START) && last.discontinuity);
    assert_eq!(last.producer_ms, NOW.as_millis() + 40_000);
}

#[test]
fn media_that_goes_on_at_another_time_is_a_discontinuity() {
    let mut bench = Bench::new(Timing::Arrival, vec![video_track()]);
    for (from_ms, at_s) in [(0, 0), (1000, 1), (2000, 62), (3000, 63)] {
        let wall = NOW.offset_micros(at_s * 1_000_000);
        bench.assembler.producer_time(ProducerTime { track: VIDEO, media_ticks: from_ms, wall });
        (from_ms..from_ms + 1000).step_by(40).for_each(|ms| bench.video(ms, ms == from_ms));
    }
    let told = bench.end();
    let seconds: Vec<i64> = told.iter().map(|f| (f.producer_ms - NOW.as_millis()) / 1000).collect();
    assert_eq!(seconds, [0, 1, 62, 63]);
    assert_eq!(told.iter().map(|f| f.discontinuity).collect::<Vec<_>>(), [true, false, true, false]);
}

#[test]
fn a_hole_in_time_is_a_discontinuity_with_true_times() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track()]);
    for ms in (0..1000).chain(61_000..62_000).step_by(40) {
        bench.video(ms, ms % 1000 == 0);
    }
    let told = bench.end();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].duration_us, 1_000_000);
    assert!(told[1].discontinuity);
    assert_eq!(told[1].producer_ms, NOW.as_millis() + 61_000);
}

#[test]
fn a_concatenated_file_follows_the_first_one() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
    bench.interleaved(0, 2000);
    bench.assembler.tracks(&vec![video_track(), audio_track()].into(), NOW);
    bench.interleaved(0, 2000);
    let told = bench.end();
    assert_eq!(told.len(), 4);
    let times: Vec<i64> = told.iter().map(|f| f.producer_ms - NOW.as_millis()).collect();
    assert_eq!(times, [0, 1000, 2000, 3000]);
    let breaks: Vec<bool> = told.iter().map(|f| f.discontinuity).collect();
    assert_eq!(breaks, [true, false, true, false]);
}

#[test]
fn equal_and_backward_times_are_kept() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track()]);
    for ms in [0, 40, 80, 80, 60, 100, 140] {
        bench.video(ms, ms == 0);
    }
    let told = bench.end();
    let times: Vec<i64> = told.iter().flat_map(|f| f.samples(VIDEO)).map(|s| s.dts_ticks).collect();
    assert_eq!(times, [0, 40, 80, 80, 60, 100, 140]);
}

#[test]
fn a_track_that_joins_late_waits_for_the_next_key_frame() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track()]);
    for ms in (0..520).step_by(40) {
        bench.video(ms, ms == 0);
    }
    bench.assembler.tracks(&vec![video_track(), audio_track()].into(), NOW);
    bench.audio(30);
    bench.interleaved(520, 2000);
    let told = bench.end();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|f| f.flags.has(Flags::KEY_FRAME_START)));
    assert!(told[0].samples(AUDIO).is_empty() && !told[1].samples(AUDIO).is_empty());
    assert!(told[1].discontinuity, "the configuration changed");
}

#[test]
fn the_timecode_is_the_clusters_or_the_key_frames_own() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track(), audio_track()]);
    bench.boundary(-5);
    bench.audio(0);
    bench.interleaved(0, 2000);
    let told = bench.end();
    assert_eq!(told.iter().map(|f| f.timecode).collect::<Vec<_>>(), [-5, 1000]);
}

#[test]
fn tags_belong_to_the_fragment_under_way_and_end_with_it() {
    let tag = |name: &str| vec![Tag { name: name.into(), value: "v".into() }];
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track()]);
    bench.assembler.tag(tag("before"));
    bench.video(0, true);
    bench.assembler.tag(tag("during"));
    bench.assembler.end_of_fragment(NOW);
    bench.video(1000, true);
    let told = bench.end();
    let names: Vec<&str> = told[0].head.tags().iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["before", "during"]);
    assert!(told[0].flags.has(Flags::TAGS) && !told[1].flags.has(Flags::TAGS));
}

#[test]
fn what_was_complete_when_the_producer_vanished_is_partial() {
    let mut bench = Bench::new(Timing::Start(NOW), vec![video_track()]);
    bench.video(0, true);
    bench.video(40, false);
    bench.assembler.end(false, NOW);
    let told = bench.told();
    assert!(told[0].flags.has(Flags::PARTIAL));
    assert_eq!(told[0].samples(VIDEO).len(), 2);
    assert_eq!(told[0].duration_us, 80_000);
}
