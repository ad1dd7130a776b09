import { describe, expect, it } from "vitest";
import type { Stream } from "../../api/types";
import { filterRows, rowOf, summary } from "./rows";

const t = "2026-07-12T12:00:00.000Z";
const track = { language: "", name: "", hls: true, hls_note: null, codec_string: null };
const stream = (name: string, over: Partial<Stream> = {}): Stream => ({
  name,
  created_at: t,
  state: "live",
  last_received_at: t,
  absence: null,
  range: { start: t, end: t },
  fragments: { first: 1, last: 5, count: 5, bytes: 2_000_000 },
  bitrate_kbps: 2000,
  clock: null,
  retention: {
    max_age_s: null,
    max_bytes: null,
    effective_max_age_s: null,
    effective_max_bytes: null,
    floor: 0,
    next_expiry: null,
  },
  tracks: [
    { ...track, number: 1, kind: "audio", codec: "AAC" },
    { ...track, number: 2, kind: "video", codec: "H.264", width: 640, height: 360 },
  ],
  ...over,
});

describe("a row", () => {
  it("names video first, whatever the order of tracks", () => {
    expect(rowOf(stream("a")).codecs).toBe("H.264 + AAC");
    expect(rowOf(stream("a")).video?.width).toBe(640);
  });

  it("shows no bitrate for a stream that is not live", () => {
    expect(rowOf(stream("a")).bitrateKbps).toBe(2000);
    expect(rowOf(stream("a", { state: "offline" })).bitrateKbps).toBeNull();
  });

  it("copes with a stream that never got media", () => {
    const empty = stream("a", {
      state: "empty",
      last_received_at: null,
      range: null,
      tracks: [],
      fragments: { first: 0, last: 0, count: 0, bytes: 0 },
    });
    expect(rowOf(empty)).toMatchObject({
      lastSeenMs: null,
      startMs: null,
      codecs: "",
      video: null,
    });
  });
});

const rows = [
  rowOf(stream("front-door")),
  rowOf(stream("garden.front", { state: "offline" })),
  rowOf(stream("hall", { tracks: [] })),
];

it("filters by words in name, state and codec", () => {
  const names = (filter: string) => filterRows(rows, filter).map((row) => row.name);
  expect(names("")).toHaveLength(3);
  expect(names("FRONT")).toEqual(["front-door", "garden.front"]);
  expect(names(" front  live ")).toEqual(["front-door"]);
  expect(names("h.264")).toEqual(["front-door", "garden.front"]);
  expect(names("cellar")).toEqual([]);
});

it("sums up", () => {
  expect(summary(rows)).toBe("2 live of 3 · 6.0 MB recorded");
});
