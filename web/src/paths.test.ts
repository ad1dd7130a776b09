import { describe, expect, it } from "vitest";
import { DEFAULT_STREAM_STATE, pages, routeOf, server, type StreamState } from "./paths";

const at = Date.UTC(2026, 6, 12, 12, 3, 22, 417);
const route = (path: string) => routeOf(new URL(path, "http://kinora.test"));

describe("addresses of pages", () => {
  it("survive the way into the address and back", () => {
    const state: StreamState = {
      atMs: at,
      view: "range",
      by: "server",
      fromMs: at - 60_000,
      toMs: at,
      day: "2026-07-12",
    };
    expect(route(pages.stream("front.door-1", state))).toEqual({
      page: "stream",
      name: "front.door-1",
      state,
    });
    expect(route(pages.streams("front door"))).toEqual({ page: "streams", filter: "front door" });
  });

  it("stay short when nothing is chosen", () => {
    expect(pages.streams()).toBe("/");
    expect(pages.stream("cam1")).toBe("/streams/cam1");
    expect(pages.stream("cam1", DEFAULT_STREAM_STATE)).toBe("/streams/cam1");
    expect(pages.stream("cam1", { atMs: at })).toBe("/streams/cam1?t=2026-07-12T12%3A03%3A22.417Z");
  });

  it("read a moment with an offset whose plus sign became a space", () => {
    const found = route("/streams/cam1?t=2026-07-12T14:03:22.417+02:00");
    expect(found).toMatchObject({ state: { atMs: at } });
  });

  it("fall back to the default for what they cannot read", () => {
    expect(route("/streams/cam1?t=soon&show=everything&by=moon&from=&to=1x&day=today")).toEqual({
      page: "stream",
      name: "cam1",
      state: DEFAULT_STREAM_STATE,
    });
  });

  it("are unknown otherwise", () => {
    expect(route("/nothing")).toEqual({ page: "unknown", path: "/nothing" });
    expect(route("/streams/a/b")).toMatchObject({ page: "unknown" });
    expect(route("/streams/%E0%A4%A")).toMatchObject({ page: "unknown" });
  });
});

it("builds the server's paths", () => {
  expect([
    server.streams(100),
    server.streams(100, "a b"),
    server.stream("cam1"),
    server.media("cam1"),
    server.fragments("cam1", {}),
    server.fragments("cam1", { startMs: at, by: "server", order: "desc", limit: 50, token: "x" }),
    server.fragmentFile("cam1", 12, "mkv"),
    server.timeline("cam1", null, null),
    server.hls("cam1"),
    server.hls("cam1", at, at + 1),
    server.hls("weird/name?"),
  ]).toEqual([
    "/v1/streams?limit=100",
    "/v1/streams?limit=100&token=a+b",
    "/v1/streams/cam1",
    "/v1/streams/cam1/media",
    "/v1/streams/cam1/fragments",
    "/v1/streams/cam1/fragments?start=2026-07-12T12%3A03%3A22.417Z&by=server&order=desc&limit=50&token=x",
    "/v1/streams/cam1/fragments/12.mkv",
    "/v1/streams/cam1/timeline",
    "/v1/streams/cam1/hls/index.m3u8",
    "/v1/streams/cam1/hls/index.m3u8?start=2026-07-12T12%3A03%3A22.417Z&end=2026-07-12T12%3A03%3A22.418Z",
    "/v1/streams/weird%2Fname%3F/hls/index.m3u8",
  ]);
});
