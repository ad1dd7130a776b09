import { describe, expect, it } from "vitest";
import type { Fragment } from "../api/types";
import {
  anchorOf,
  meanFragmentMs,
  onScreen,
  PAGE_ROWS,
  queryOf,
  shownView,
  type Choice,
} from "./query";

const t0 = Date.UTC(2026, 6, 12, 12);
const fragment = (number: number, startMs: number): Fragment => ({
  number,
  producer_time: new Date(t0 + startMs).toISOString(),
  server_time: new Date(t0 + startMs).toISOString(),
  duration_ms: 2_000,
  bytes: 1,
  tracks: [1],
  tags: {},
  key_frame_start: true,
  state: "persisted",
  discontinuity: false,
  partial: false,
});
const fragments = [fragment(7, 0), fragment(8, 2_000), fragment(9, 60_000)];

it("follows what is played unless told otherwise", () => {
  expect(shownView("follow", true)).toBe("newest");
  expect(shownView("follow", false)).toBe("around");
  expect(shownView("range", true)).toBe("range");
});

describe("the query", () => {
  const choice: Choice = {
    view: "newest",
    by: "server",
    fromMs: t0,
    toMs: null,
    anchorMs: null,
    fragmentMs: 2_000,
    limit: PAGE_ROWS,
  };

  it("is newest first by the chosen time", () => {
    expect(queryOf(choice)).toEqual({ by: "server", order: "desc", limit: PAGE_ROWS });
  });

  it("is the chosen range in order of time", () => {
    expect(queryOf({ ...choice, view: "range" })).toEqual({
      startMs: t0,
      endMs: null,
      by: "server",
      order: "asc",
      limit: PAGE_ROWS,
    });
  });

  it("begins ten fragments before the picture, by the time pictures are dated with", () => {
    expect(queryOf({ ...choice, view: "around", anchorMs: t0 })).toEqual({
      startMs: t0 - 20_000,
      by: "producer",
      order: "asc",
      limit: PAGE_ROWS,
    });
    expect(queryOf({ ...choice, view: "around" })).toBeNull();
  });
});

describe("the fragment on screen", () => {
  it("is the one whose time holds the picture", () => {
    expect(onScreen(fragments, t0)).toBe(7);
    expect(onScreen(fragments, t0 + 1_999)).toBe(7);
    expect(onScreen(fragments, t0 + 2_000)).toBe(8);
    expect(onScreen(fragments, t0 + 30_000)).toBeNull();
    expect(onScreen(fragments, null)).toBeNull();
  });
});

describe("the anchor", () => {
  it("stays while the picture is among the rows, gaps included", () => {
    expect(anchorOf(t0, fragments, t0 + 30_000)).toBe(t0);
  });

  it("follows the picture out of the rows, and waits for the first picture", () => {
    expect(anchorOf(t0, fragments, t0 + 62_000)).toBe(t0 + 62_000);
    expect(anchorOf(t0, fragments, t0 - 1)).toBe(t0 - 1);
    expect(anchorOf(null, [], null)).toBeNull();
    expect(anchorOf(null, [], t0)).toBe(t0);
    expect(anchorOf(t0, [], t0 + 5)).toBe(t0);
  });
});

it("takes the mean of what is covered", () => {
  expect(meanFragmentMs(60_000, 30)).toBe(2_000);
  expect(meanFragmentMs(0, 0)).toBe(1_000);
});
