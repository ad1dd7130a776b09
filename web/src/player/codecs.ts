/** Which of a stream's tracks this browser can play. The browser's own answer is an argument. */
import type { Track } from "../api/types";

/** What `MediaSource.isTypeSupported` answers. */
export type Supports = (type: string) => boolean;

/** The tracks that HLS carries but this browser cannot decode. */
export function undecodable(tracks: readonly Track[], supports: Supports): Track[] {
  return tracks.filter((track) => {
    if (!track.hls || track.kind === "data" || track.codec_string === null) return false;
    return !supports(`${track.kind}/mp4; codecs="${track.codec_string}"`);
  });
}

/** Whether anything at all is left to play. */
export function playable(tracks: readonly Track[], supports: Supports): boolean {
  const carried = tracks.filter((track) => track.hls && track.kind !== "data");
  return carried.length > undecodable(carried, supports).length;
}
