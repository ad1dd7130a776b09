/** Tracks in words. */
import type { Track } from "./types";
import { frameRate, sampleRate } from "../format/size";

/** `1280 × 720`, or null where the size is unknown. */
export function resolution(track: Track): string | null {
  return track.width && track.height ? `${track.width}\u2009×\u2009${track.height}` : null;
}

/** `1280 × 720 · 30 fps`, `48 kHz · stereo`: what is known about the track beside its codec. */
export function particulars(track: Track): string {
  const parts: (string | null)[] =
    track.kind === "audio"
      ? [track.sample_rate ? sampleRate(track.sample_rate) : null, channels(track.channels)]
      : [resolution(track), track.frame_rate ? `${frameRate(track.frame_rate)} fps` : null];
  return parts.filter((part) => part !== null).join(" · ");
}

function channels(count: number | null | undefined): string | null {
  if (!count) return null;
  return count === 1 ? "mono" : count === 2 ? "stereo" : `${count} channels`;
}

/** The first video track, which is the one shown and described in lists. */
export function mainVideo(tracks: readonly Track[]): Track | null {
  return tracks.find((track) => track.kind === "video") ?? null;
}
