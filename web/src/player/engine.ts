/**
 * The part of the player that touches hls.js, or the browser's own HLS where Media Source
 * Extensions are missing. Plays one playlist per instance; what to play and what to do after a
 * failure is decided by `player.svelte.ts`.
 */
import type Hls from "hls.js";
import { problemOf, type Problem } from "./problem";
import { mediaTimeAt, spansOf, wallClockAt, type DatedSpan } from "./wall-clock";

export interface EngineEvents {
  /** Playback of this playlist cannot go on. */
  failed: (problem: Problem) => void;
  /** Segments were listed or their places corrected: moments may map anew. */
  mapped: () => void;
}

export interface Engine {
  /** The moment the frame at `mediaTimeS` shows. */
  wallClockAt(mediaTimeS: number): number | null;
  /** Where the moment lies, null when this playlist does not hold it. */
  mediaTimeAt(wallMs: number): number | null;
  destroy(): void;
}

/**
 * What is loaded ahead of the picture, in seconds. Without this limit hls.js loads up to 60 MB, ten
 * minutes of a small camera, for somebody who only looks at one moment.
 */
const AHEAD_BUFFER_S = 30;
/** What is kept behind the picture for steps back, in seconds. */
const BACK_BUFFER_S = 60;
/** Gentle enough not to be heard, fast enough to be back at the edge a minute after a stall. */
const CATCH_UP_RATE = 1.08;
/** Damaged media is decoded around this many times before the playlist is loaded anew. */
const MEDIA_RECOVERIES = 2;

/** Whether media can be appended by script, as hls.js needs. */
export function hasMediaSource(): boolean {
  return "ManagedMediaSource" in window || "MediaSource" in window;
}

/** What the browser says about a MIME type with codecs. */
export function supportsType(type: string): boolean {
  const source = "MediaSource" in window ? window.MediaSource : undefined;
  return source?.isTypeSupported(type) ?? document.createElement("video").canPlayType(type) !== "";
}

export type HlsClass = typeof Hls;

/** hls.js is most of the app's bytes, so it is loaded when the first picture is wanted. */
export async function loadHls(): Promise<HlsClass> {
  return (await import("hls.js")).default;
}

/** Plays `url` by hls.js, from where its EXT-X-START says or else the live edge. */
export function openHls(
  HlsClass: HlsClass,
  video: HTMLVideoElement,
  url: string,
  events: EngineEvents,
): Engine {
  const hls: Hls = new HlsClass({
    maxBufferLength: AHEAD_BUFFER_S,
    maxMaxBufferLength: AHEAD_BUFFER_S,
    backBufferLength: BACK_BUFFER_S,
    lowLatencyMode: true,
    maxLiveSyncPlaybackRate: CATCH_UP_RATE,
  });
  let spans: DatedSpan[] = [];
  let recoveries = 0;

  const remap = (details: { fragments: Parameters<typeof spansOf>[0] }): void => {
    spans = spansOf(details.fragments);
    events.mapped();
  };
  hls.on(HlsClass.Events.LEVEL_UPDATED, (_, { details }) => remap(details));
  hls.on(HlsClass.Events.LEVEL_PTS_UPDATED, (_, { details }) => remap(details));
  hls.on(HlsClass.Events.ERROR, (_, data) => {
    if (!data.fatal) return;
    const problem = problemOf(data);
    if (problem.kind === "decoder" && recoveries < MEDIA_RECOVERIES) {
      recoveries += 1;
      hls.recoverMediaError();
    } else {
      events.failed(problem);
    }
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    wallClockAt: (mediaTimeS) => wallClockAt(spans, mediaTimeS),
    mediaTimeAt: (wallMs) => mediaTimeAt(spans, wallMs),
    destroy: () => hls.destroy(),
  };
}

/** Safari's date of media time zero; not in TypeScript's library because no standard has it. */
interface DatedVideo extends HTMLVideoElement {
  getStartDate?: () => Date;
}

/**
 * The browser's own HLS (iPhones before iOS 17.1). It tells one date for the whole playlist,
 * so moments after a gap inside it are shown too early by the gap's length.
 */
export function openNative(video: DatedVideo, url: string, events: EngineEvents): Engine {
  const zeroMs = (): number | null => {
    const ms = video.getStartDate?.().getTime() ?? NaN;
    return Number.isNaN(ms) ? null : ms;
  };
  const onError = (): void => {
    const unsupported = video.error?.code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED;
    events.failed(
      unsupported
        ? { kind: "network", text: "The stream cannot be loaded." }
        : { kind: "decoder", text: `Playback stumbled: ${video.error?.message ?? "unknown"}.` },
    );
  };
  video.addEventListener("error", onError);
  video.src = url;
  return {
    wallClockAt: (mediaTimeS) => {
      const zero = zeroMs();
      return zero === null ? null : Math.round(zero + mediaTimeS * 1_000);
    },
    mediaTimeAt: (wallMs) => {
      const zero = zeroMs();
      const position = zero === null ? -1 : (wallMs - zero) / 1_000;
      return position >= 0 && position <= video.duration ? position : null;
    },
    destroy: () => {
      video.removeEventListener("error", onError);
      video.removeAttribute("src");
      video.load();
    },
  };
}
