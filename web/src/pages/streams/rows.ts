/** What a line of the list of streams says, and which lines a filter leaves. Pure. */
import type { Stream, Track } from "../../api/types";
import { bytes, count } from "../../format/size";
import { mainVideo } from "../../api/track";

export interface Row {
  readonly name: string;
  readonly state: Stream["state"];
  readonly lastSeenMs: number | null;
  readonly bitrateKbps: number | null;
  readonly video: Track | null;
  /** Codecs of all tracks, video first: `H.264 + AAC`. */
  readonly codecs: string;
  readonly startMs: number | null;
  readonly endMs: number | null;
  readonly bytes: number;
  readonly fragments: number;
}

const KINDS = ["video", "audio", "data"];

export function rowOf(stream: Stream): Row {
  const tracks = stream.tracks.toSorted((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  return {
    name: stream.name,
    state: stream.state,
    lastSeenMs: stream.last_received_at === null ? null : Date.parse(stream.last_received_at),
    // A rate of the past says nothing about a stream that is not sent any more.
    bitrateKbps: stream.state === "live" ? stream.bitrate_kbps : null,
    video: mainVideo(stream.tracks),
    codecs: [...new Set(tracks.map((track) => track.codec))].join(" + "),
    startMs: stream.range ? Date.parse(stream.range.start) : null,
    endMs: stream.range ? Date.parse(stream.range.end) : null,
    bytes: stream.fragments.bytes,
    fragments: stream.fragments.count,
  };
}

/** The rows in which every word of `filter` occurs, in name, state or codec; case is ignored. */
export function filterRows(rows: readonly Row[], filter: string): Row[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    const text = `${row.name} ${row.state} ${row.codecs}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** `3 live of 12 · 48 GB recorded`. */
export function summary(rows: readonly Row[]): string {
  const live = rows.filter((row) => row.state === "live").length;
  const total = rows.reduce((sum, row) => sum + row.bytes, 0);
  return `${count(live)} live of ${count(rows.length)} · ${bytes(total)} recorded`;
}
