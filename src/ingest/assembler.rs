//! Samples to parts and fragments: where to cut, what time it is, and the packed payload.
//!
//! Sans-IO: it is told what time it is, and it returns steps for whoever owns the store's writer.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use kinora_base::{MediaTime, WallTime};
use kinora_media::container::{Boundary, ProducerTime};
use kinora_media::packed::{self, PartWriter};
use kinora_media::{Sample, Tag, Track, TrackKind, configuration};
use kinora_store::{Flags, Part, Run};

use crate::ingest::cut_settings::CutSettings;
use crate::ingest::early::Early;
use crate::ingest::open_fragment::Open;
use crate::ingest::producer_clock::{ProducerClock, Timing};
use crate::ingest::step::Step;
use crate::ingest::track_queue::TrackQueue;

/// How long the other tracks may run ahead before a fragment is begun without its leading track,
/// in microseconds: one GOP's worth of audio that a muxer wrote first.
const LEAD_PATIENCE_US: i64 = 1_000_000;

/// Without video, a Cluster or movie fragment begins a fragment if so much media, in microseconds,
/// came since the last one did.
const AUDIO_BOUNDARY_US: i64 = 1_000_000;

/// Most samples in a fragment: what memory a sample costs beside its bytes is bounded by this.
const MAX_SAMPLES: usize = 65_536;
/// Most samples that wait, for the leading track to begin a fragment or for a part to be long
/// enough.
const MAX_WAITING_SAMPLES: usize = 4_096;
/// Most bytes that wait for it.
const MAX_WAITING_BYTES: u64 = 4 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Assembler {
    settings: CutSettings,
    clock: ProducerClock,
    tracks: Vec<TrackQueue>,
    /// Index of the track that fragments are cut by: the first video track, else the first.
    lead: usize,
    /// Tracks to switch to at the next cut.
    next_tracks: Option<Arc<[Track]>>,
    open: Option<Open>,
    /// Tags that came between fragments.
    tags: Vec<Tag>,
    boundary: Option<Boundary>,
    /// No sample of the leading track has followed the boundary yet.
    boundary_is_fresh: bool,
    /// Decoding time of the leading sample that followed the boundary before.
    boundary_us: Option<i64>,
    /// Samples of other tracks since the boundary, until the leading track tells whose they are.
    early: Early,
    /// The leading track kept them waiting for too long; they wait no more until it is back.
    lead_is_late: bool,
    /// Media time, on the leading track, and producer time at which the last fragment ended.
    last_end: Option<(i64, WallTime)>,
    /// The next fragment does not continue the last one, whatever its times say.
    broken: bool,
    new_header: bool,
    steps: VecDeque<Step>,
}

impl Assembler {
    pub(crate) fn new(settings: CutSettings, timing: Timing) -> Self {
        Self {
            settings,
            clock: ProducerClock::new(timing),
            tracks: Vec::new(),
            lead: 0,
            next_tracks: None,
            open: None,
            tags: Vec::new(),
            boundary: None,
            boundary_is_fresh: false,
            boundary_us: None,
            early: Early::default(),
            lead_is_late: false,
            last_end: None,
            broken: true,
            new_header: false,
            steps: VecDeque::new(),
        }
    }

    /// Whether there is a step.
    pub(crate) fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// The next step for the store, in order.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// A header of the container: times may begin anew after it.
    pub(crate) fn header(&mut self) {
        self.new_header = true;
    }

    /// New tracks. Tracks that only joined take effect at the next cut, so that one that appears
    /// late costs no fragment without a key frame.
    pub(crate) fn tracks(&mut self, tracks: &Arc<[Track]>, now: WallTime) {
        let only_joined =
            tracks.len() > self.tracks.len() && self.tracks.iter().all(|queue| tracks.contains(&queue.track));
        if self.open.is_some() && only_joined {
            self.next_tracks = Some(Arc::clone(tracks));
            return;
        }
        self.new_header = true;
        self.next_tracks = None;
        self.finish_fragment(Flags::default(), now);
        self.switch_tracks(tracks);
    }

    fn switch_tracks(&mut self, tracks: &[Track]) {
        let unchanged = self.tracks.iter().map(|queue| &queue.track).eq(tracks);
        if unchanged {
            return;
        }
        self.tracks = tracks.iter().cloned().map(TrackQueue::new).collect();
        self.lead = tracks.iter().position(|t| t.kind() == TrackKind::Video).unwrap_or(0);
        self.broken = true;
        self.steps.push_back(Step::Configure(configuration::encode(tracks)));
    }

    /// A Cluster or movie fragment begins. Producers resume at one, so whatever it begins with
    /// belongs to the fragment that its key frame begins, even if sound comes before the key
    /// frame: a fragment then holds the same samples, no matter where its connection began.
    pub(crate) fn boundary(&mut self, boundary: Boundary, now: WallTime) {
        self.release_early(now);
        self.boundary = Some(boundary);
        self.boundary_is_fresh = true;
    }

    pub(crate) fn tag(&mut self, tags: Vec<Tag>) {
        let kept = self.open.as_mut().map_or(&mut self.tags, |open| &mut open.tags);
        let room = Tag::MAX_PER_FRAGMENT.saturating_sub(kept.len());
        kept.extend(tags.into_iter().take(room));
    }

    pub(crate) fn producer_time(&mut self, reference: ProducerTime) {
        if let Some(queue) = self.tracks.iter().find(|queue| queue.track.number == reference.track) {
            self.clock.reference(queue.micros(reference.media_ticks), reference.wall);
        }
    }

    /// Takes a sample that arrived at `now`.
    pub(crate) fn sample(&mut self, sample: Sample, now: WallTime) {
        let Some(index) = self.index_of(sample.track) else { return };
        if self.is_early(index) {
            self.early.push(sample);
            let queue = self.tracks.get(index);
            if queue.is_some_and(|queue| self.early.is_over(|ticks| queue.micros(ticks))) {
                self.lead_is_late = true;
                self.release_early(now);
            }
            return;
        }
        if index == self.lead {
            self.lead_is_late = false;
            if !sample.sync {
                self.release_early(now);
            }
        }
        self.place(sample, index, now);
    }

    /// Whether a sample of the track at `index` waits for the leading one.
    fn is_early(&self, index: usize) -> bool {
        let leads = |open: &Open| open.lead == self.lead;
        self.boundary_is_fresh
            && !self.lead_is_late
            && index != self.lead
            && self.open.as_ref().is_some_and(leads)
            && self.tracks.get(self.lead).is_some_and(|lead| lead.track.kind() == TrackKind::Video)
    }

    /// The samples that wait belong to the fragment under way.
    fn release_early(&mut self, now: WallTime) {
        for sample in self.early.take() {
            if let Some(index) = self.index_of(sample.track) {
                self.place(sample, index, now);
            }
        }
    }

    /// Puts a sample where it belongs; those that wait belong before it, behind a cut.
    fn place(&mut self, sample: Sample, mut index: usize, now: WallTime) {
        let Some(queue) = self.tracks.get_mut(index) else { return };
        let settled = queue.settle_before(sample.dts_ticks);
        if let Some(open) = &mut self.open
            && open.lead == index
        {
            open.lead_ticks = open.lead_ticks.saturating_add(settled.ticks);
        }
        if self.cuts_before(index, &sample, settled.hole) {
            if self.boundary_is_fresh && index == self.lead {
                self.settle_others();
            }
            if let (Some(open), Some(queue)) = (&mut self.open, self.tracks.get(index)) {
                let follows = open.lead == index && sample.sync && !settled.hole;
                open.next_start_us = follows.then(|| queue.micros(sample.pts_ticks));
            }
            if let Some(tracks) = self.next_tracks.take() {
                // What is held back of the other tracks belongs to the old configuration.
                let early = std::mem::take(&mut self.early);
                self.finish_fragment(Flags::default(), now);
                self.early = early;
                self.switch_tracks(&tracks);
                let Some(moved) = self.index_of(sample.track) else { return };
                index = moved;
            } else {
                self.cut(Flags::default());
            }
            self.broken |= settled.hole;
        } else if self.part_is_full(index) {
            self.flush_part();
        }
        if index == self.lead {
            self.join_early();
            if self.boundary_is_fresh {
                let at_us = self.tracks.get(index).map(|queue| queue.micros(sample.dts_ticks));
                self.boundary_us = at_us;
            }
        }
        let pictures = self.tracks.get(index).filter(|queue| queue.track.kind() == TrackKind::Video);
        let shown_us = pictures.map(|queue| queue.micros(sample.pts_ticks));
        let ticks = self.tracks.get_mut(index).map_or(0, |queue| queue.push(sample));
        if let Some(open) = &mut self.open {
            open.lead_ticks = open.lead_ticks.saturating_add(if open.lead == index { ticks } else { 0 });
        } else if index == self.lead || self.has_waited(index) {
            self.begin(index, now);
        }
        if let Some(open) = &mut self.open
            && open.lead == index
            && open.key_frame_start
        {
            open.last_shown_us = open.last_shown_us.max(shown_us);
        }
        self.boundary_is_fresh &= index != self.lead;
    }

    /// Settles what the other tracks hold back: it came before the boundary and belongs before the
    /// cut. What came since tells how long it lasted.
    fn settle_others(&mut self) {
        let others = self.tracks.iter_mut().enumerate().filter(|(index, _)| *index != self.lead);
        for (_, queue) in others {
            let number = queue.track.number;
            match self.early.samples().iter().find(|early| early.track == number) {
                Some(next) => queue.settle_before(next.dts_ticks).ticks,
                None => queue.settle_last(),
            };
        }
    }

    /// Lets the samples that wait into the fragment that the leading track's sample begins.
    fn join_early(&mut self) {
        for sample in self.early.take() {
            let queue = self.tracks.iter_mut().find(|queue| queue.track.number == sample.track);
            if let Some(queue) = queue {
                queue.settle_before(sample.dts_ticks);
                queue.push(sample);
            }
        }
    }

    /// The producer says that the fragment under way is complete.
    pub(crate) fn end_of_fragment(&mut self, now: WallTime) {
        self.finish_fragment(Flags::default(), now);
    }

    /// The input is over: finishes what is under way, as partial unless the end was `clean`. What
    /// then still waits for the picture that it belongs to begins a fragment that never came.
    pub(crate) fn end(&mut self, clean: bool, now: WallTime) {
        if !clean {
            self.early.take();
            if self.open.is_none() {
                return;
            }
        }
        self.finish_fragment(Flags::default().with_if(Flags::PARTIAL, !clean), now);
    }

    fn index_of(&self, track: u32) -> Option<usize> {
        self.tracks.iter().position(|queue| queue.track.number == track)
    }

    /// Whether a fragment ends before this sample.
    fn cuts_before(&self, index: usize, sample: &Sample, hole: bool) -> bool {
        let (Some(open), Some(queue)) = (&self.open, self.tracks.get(index)) else { return false };
        let full = open.sample_bytes + self.queued_bytes() + sample.data.len() as u64
            > self.settings.max_fragment_bytes
            || open.samples + self.queued_samples() >= MAX_SAMPLES;
        if index != open.lead {
            // The leading track is back after others had to begin without it.
            return full || index == self.lead;
        }
        let video = queue.track.kind() == TrackKind::Video;
        let longest =
            if video { self.settings.max_fragment_duration } else { self.settings.audio_fragment_duration };
        let lasted_us = queue.micros(open.lead_ticks);
        let long_enough = u128::try_from(lasted_us).is_ok_and(|us| us >= longest.as_micros());
        if !video && self.boundary_is_fresh {
            let since = self.boundary_us.map(|before| queue.micros(sample.dts_ticks).saturating_sub(before));
            if lasted_us >= AUDIO_BOUNDARY_US || since.is_some_and(|us| us >= AUDIO_BOUNDARY_US) {
                return true;
            }
        }
        (video && sample.sync) || hole || full || long_enough
    }

    /// Whether a track has waited long enough for the leading one to begin a fragment.
    fn has_waited(&self, index: usize) -> bool {
        let long = self.tracks.get(index).is_some_and(|queue| queue.ready_us() >= LEAD_PATIENCE_US);
        long || self.queued_samples() >= MAX_WAITING_SAMPLES || self.queued_bytes() >= MAX_WAITING_BYTES
    }

    fn queued_samples(&self) -> usize {
        self.tracks.iter().map(TrackQueue::samples).sum()
    }

    fn queued_bytes(&self) -> u64 {
        self.tracks.iter().map(|queue| queue.bytes() as u64).sum()
    }

    /// Whether one more sample of this track would make the part too long. Parts are cut by the
    /// leading track; only while it is silent do the others cut theirs.
    fn part_is_full(&self, index: usize) -> bool {
        let part_us = i64::try_from(self.settings.part_duration.as_micros()).unwrap_or(i64::MAX);
        let Some(queue) = self.tracks.get(index) else { return false };
        let lead_is_silent = self.tracks.get(self.lead).is_none_or(|lead| lead.ready_us() == 0);
        let long = (index == self.lead || lead_is_silent)
            && queue.ready_us() > 0
            && queue.ready_us() + queue.typical_us() > part_us;
        self.open.is_some() && (long || self.queued_samples() >= MAX_WAITING_SAMPLES)
    }

    /// Begins a fragment whose times are those of the track at `index`.
    fn begin(&mut self, index: usize, now: WallTime) {
        let Some(queue) = self.tracks.get(index) else { return };
        let Some(first) = queue.first() else { return };
        let start_us = queue.micros(first.pts_ticks);
        let start_dts_us = queue.micros(first.dts_ticks);
        let expected = self.last_end.map(|(media_us, _)| media_us);
        let continues =
            expected.is_some_and(|end| start_dts_us.saturating_sub(end).abs() <= Run::LARGEST_HOLE_US);
        let new_header = std::mem::take(&mut self.new_header);
        let producer_time = self.clock.fragment_start(start_us, now, self.last_end, new_header);
        // Media that goes on can be elsewhere in the producer's time, if a `prft` box says so.
        let moved = |(_, end): (i64, WallTime)| {
            producer_time.micros_since(end).saturating_abs() > Run::LARGEST_HOLE_US
        };
        let discontinuity = self.broken || !continues || self.last_end.is_some_and(moved);
        let timecode = self.timecode(queue, first);
        self.broken = false;
        self.steps.push_back(Step::Begin {
            timecode,
            producer_time,
            media_us: start_us,
            server_time: now,
            discontinuity,
        });
        self.open = Some(Open {
            producer_time,
            lead: index,
            start_us,
            start_dts_us,
            last_shown_us: None,
            next_start_us: None,
            lead_ticks: queue.ready_ticks(),
            key_frame_start: first.sync,
            sample_bytes: 0,
            samples: 0,
            tags: std::mem::take(&mut self.tags),
            part_heads: Vec::new(),
            data: Vec::new(),
        });
    }

    /// The fragment's time as the producer wrote it: that of the Cluster or movie fragment it
    /// began with, else the sample's own on the same scale.
    fn timecode(&self, queue: &TrackQueue, first: &Sample) -> i64 {
        let Some(boundary) = self.boundary else { return first.pts_ticks };
        if self.boundary_is_fresh {
            return boundary.timecode;
        }
        let own = MediaTime::new(first.pts_ticks, queue.track.timescale);
        let scale = NonZeroU32::new(boundary.timescale);
        own.zip(scale).map_or(first.pts_ticks, |(own, scale)| own.rescale(scale).ticks)
    }

    /// Ends the part under way: everything settled since the last one.
    fn flush_part(&mut self) {
        let Some(open) = &mut self.open else { return };
        let mut writer = PartWriter::new(open.part_heads.len() as u32);
        let (mut start_us, mut end_us) = (i64::MAX, i64::MIN);
        let mut independent = true;
        let mut any = false;
        for (index, queue) in self.tracks.iter_mut().enumerate() {
            for run in queue.take_runs() {
                if let (Some(first), Some(last)) = (run.first(), run.last()) {
                    any = true;
                    independent &= first.sync || index != open.lead;
                    start_us = start_us.min(queue.micros(first.dts_ticks));
                    let end = last.dts_ticks.saturating_add(i64::from(last.duration_ticks));
                    end_us = end_us.max(queue.micros(end));
                }
                writer.run(&run);
            }
        }
        if !any {
            return;
        }
        let index = open.part_heads.len() as u32;
        let (head, data) = writer.finish();
        open.samples += data.len();
        open.sample_bytes += data.iter().map(|piece| piece.len() as u64).sum::<u64>();
        open.part_heads.push(head.clone());
        open.data.extend(data.iter().cloned());
        self.steps.push_back(Step::Part(Part {
            index,
            offset_us: u64::try_from(start_us.saturating_sub(open.start_dts_us)).unwrap_or(0),
            duration_us: u64::try_from(end_us.saturating_sub(start_us)).unwrap_or(0),
            independent,
            head,
            data,
        }));
    }

    /// Ends the fragment under way at a sample of its leading track; what the other tracks hold
    /// back goes into the next fragment.
    fn cut(&mut self, flags: Flags) {
        self.flush_part();
        let Some(open) = self.open.take() else { return };
        let lead = self.tracks.get(open.lead);
        let decoded_us = lead.map_or(0, |queue| queue.micros(open.lead_ticks));
        let last_us = lead.map_or(0, TrackQueue::typical_us);
        let duration_us = open.shown_us(decoded_us, last_us);
        self.last_end = Some((
            open.start_dts_us.saturating_add(decoded_us),
            open.producer_time.offset_micros(duration_us),
        ));
        let flags = flags
            .with_if(Flags::KEY_FRAME_START, open.key_frame_start)
            .with_if(Flags::TAGS, !open.tags.is_empty());
        let head = packed::head(&open.tags, open.part_heads.iter());
        self.steps.push_back(Step::Finish {
            duration_us: u64::try_from(duration_us).unwrap_or(0),
            flags,
            head,
            data: open.data,
        });
    }

    /// Ends the fragment under way with all that is held back.
    fn finish_fragment(&mut self, flags: Flags, now: WallTime) {
        self.release_early(now);
        if self.open.is_none()
            && let Some(index) = self.tracks.iter().position(|queue| !queue.is_empty())
        {
            self.begin(index, now);
        }
        let lead = self.open.as_ref().map(|open| open.lead);
        for (index, queue) in self.tracks.iter_mut().enumerate() {
            let ticks = queue.settle_last();
            if lead == Some(index)
                && let Some(open) = &mut self.open
            {
                open.lead_ticks = open.lead_ticks.saturating_add(ticks);
            }
        }
        self.cut(flags);
    }
}

#[cfg(test)]
#[path = "assembler_test.rs"]
mod tests;
