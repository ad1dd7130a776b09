import { describe, expect, it } from "vitest";
import {
  afterEnd,
  chooseSource,
  GROWING_MS,
  LAST_PICTURES_MS,
  WINDOW_MS,
  type Recording,
} from "./source";

const HOUR = 3_600_000;
// Two hours, a gap of one, then three hours up to now.
const runs = [
  { startMs: 0, endMs: 2 * HOUR },
  { startMs: 3 * HOUR, endMs: 6 * HOUR },
];
const live: Recording = { live: true, endMs: 6 * HOUR, runs };
const offline: Recording = { ...live, live: false };

describe("live", () => {
  it("is the live playlist while a producer is connected", () => {
    expect(chooseSource({ kind: "live" }, live)).toEqual({
      startMs: null,
      endMs: null,
    });
  });

  it("is the last pictures when there is none", () => {
    expect(chooseSource({ kind: "live" }, offline)).toEqual({
      startMs: 6 * HOUR - LAST_PICTURES_MS,
      endMs: 6 * HOUR,
    });
  });

  it("is nothing for an empty stream", () => {
    expect(chooseSource({ kind: "live" }, { live: false, endMs: 0, runs: [] })).toBeNull();
  });
});

describe("a moment", () => {
  it("near the live edge grows into live", () => {
    const ms = 6 * HOUR - GROWING_MS + 1;
    expect(chooseSource({ kind: "at", ms }, live)).toEqual({
      startMs: ms,
      endMs: null,
    });
  });

  it("far from it is a window of bounded length", () => {
    const source = chooseSource({ kind: "at", ms: HOUR }, live);
    expect(source).toEqual({ startMs: HOUR, endMs: HOUR + WINDOW_MS });
  });

  it("never reaches past the end of what an offline stream has", () => {
    const source = chooseSource({ kind: "at", ms: 6 * HOUR - 1_000 }, offline);
    expect(source?.endMs).toBe(6 * HOUR);
  });

  it("inside a gap is what follows the gap", () => {
    expect(chooseSource({ kind: "at", ms: 2.5 * HOUR }, live)?.startMs).toBe(3 * HOUR);
  });

  it("after the end is nothing offline, and left to the server while live", () => {
    const wish = { kind: "at", ms: 6 * HOUR + 2_000 } as const;
    expect(chooseSource(wish, offline)).toBeNull();
    expect(chooseSource(wish, live)).toMatchObject({ startMs: wish.ms, endMs: null });
  });
});

describe("after a window", () => {
  it("comes the next one, over the gap", () => {
    const source = { startMs: HOUR, endMs: 2 * HOUR };
    expect(afterEnd(source, live)).toEqual({ kind: "at", ms: 3 * HOUR });
  });

  it("comes live, or nothing more", () => {
    const source = { startMs: 5 * HOUR, endMs: 6 * HOUR };
    expect(afterEnd(source, live)).toEqual({ kind: "live" });
    expect(afterEnd(source, offline)).toBeNull();
    expect(afterEnd({ ...source, endMs: null }, offline)).toBeNull();
  });
});
