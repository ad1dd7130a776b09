import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EngineEvents } from "./engine";
import type { Recording } from "./source";

/** One playlist that the player has opened. */
interface Opened {
  url: string;
  events: EngineEvents;
  destroyed: boolean;
}
const opened: Opened[] = [];
/** Media time zero of every fake playlist. */
const ZERO_MS = 1_000_000_000_000;
/** What every fake playlist reaches. */
const LENGTH_MS = 60_000;

vi.mock("./engine", () => ({
  hasMediaSource: () => true,
  loadHls: () => Promise.resolve(null),
  openHls: (_: unknown, __: unknown, url: string, events: EngineEvents) => {
    const playlist: Opened = { url, events, destroyed: false };
    opened.push(playlist);
    return {
      wallClockAt: (mediaTimeS: number) => ZERO_MS + mediaTimeS * 1_000,
      mediaTimeAt: (wallMs: number) =>
        wallMs >= ZERO_MS && wallMs < ZERO_MS + LENGTH_MS ? (wallMs - ZERO_MS) / 1_000 : null,
      destroy: () => (playlist.destroyed = true),
    };
  },
}));
vi.mock("../api/session.svelte", () => ({ session: { refused: vi.fn() } }));

const { Player } = await import("./player.svelte");
const { session } = await import("../api/session.svelte");

/** The little of a video element that the player touches. */
class FakeVideo extends EventTarget {
  muted = false;
  currentTime = 0;
  videoWidth = 640;
  readyState = 4;
  play = vi.fn(() => {
    this.dispatchEvent(new Event("play"));
    return Promise.resolve();
  });
  pause = vi.fn(() => this.dispatchEvent(new Event("pause")));
  cancelVideoFrameCallback = vi.fn();
  #onFrame: VideoFrameRequestCallback = () => undefined;
  requestVideoFrameCallback = (callback: VideoFrameRequestCallback): number => {
    this.#onFrame = callback;
    return 1;
  };

  showFrame(mediaTime: number): void {
    this.currentTime = mediaTime;
    this.#onFrame(0, { mediaTime } as VideoFrameCallbackMetadata);
  }
}

const HOUR = 3_600_000;
const endMs = ZERO_MS + 2 * HOUR;
const live: Recording = {
  live: true,
  endMs,
  runs: [
    { startMs: ZERO_MS, endMs: ZERO_MS + HOUR },
    { startMs: ZERO_MS + 1.5 * HOUR, endMs },
  ],
};
const offline: Recording = { ...live, live: false };
const lost = { kind: "network", text: "lost" } as const;

let video: FakeVideo;
let player: InstanceType<typeof Player>;
const settle = () => vi.advanceTimersByTimeAsync(0);
const last = (): Opened => {
  const playlist = opened.at(-1);
  if (!playlist) throw new Error("no playlist was opened");
  return playlist;
};
const bounds = (url: string) => {
  const search = new URL(url, "http://kinora.test").searchParams;
  const ms = (key: string) => {
    const text = search.get(key);
    return text === null ? null : Date.parse(text) - ZERO_MS;
  };
  return [ms("start"), ms("end")];
};

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("HTMLMediaElement", { HAVE_FUTURE_DATA: 3 });
  opened.length = 0;
  vi.mocked(session.refused).mockClear();
  video = new FakeVideo();
  player = new Player("cam1");
  player.attach(video as unknown as HTMLVideoElement);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("opening", () => {
  it("waits until something is known, then plays live and muted", async () => {
    await settle();
    expect(opened).toHaveLength(0);
    player.know(live);
    await settle();
    expect(last().url).toBe("/v1/streams/cam1/hls/index.m3u8");
    expect(video.play).toHaveBeenCalled();
    expect(video.muted).toBe(true);
    expect(player.live).toBe(true);
  });

  it("shows an offline stream's last pictures without playing them", async () => {
    player.know(offline);
    await settle();
    expect(bounds(last().url)).toEqual([2 * HOUR - 10_000, 2 * HOUR]);
    expect(video.play).not.toHaveBeenCalled();
  });

  it("plays a wished moment of an offline stream", async () => {
    player.wish = { kind: "at", ms: ZERO_MS + 5_000 };
    player.know(offline);
    await settle();
    expect(bounds(last().url)).toEqual([5_000, 5_000 + HOUR / 2]);
    expect(video.play).toHaveBeenCalled();
  });

  it("goes live by itself when the producer comes back", async () => {
    player.know(offline);
    await settle();
    player.know(live);
    await settle();
    expect(opened).toHaveLength(2);
    expect(opened[0]?.destroyed).toBe(true);
    expect(player.live).toBe(true);
  });

  it("opens only the last of several wishes made at once", async () => {
    player.know(live);
    player.show({ kind: "at", ms: ZERO_MS + 1_000 });
    player.show({ kind: "at", ms: ZERO_MS + 2_000 });
    await settle();
    expect(opened.map((playlist) => bounds(playlist.url)[0])).toEqual([2_000]);
  });
});

describe("jumping", () => {
  beforeEach(async () => {
    player.wish = { kind: "at", ms: ZERO_MS };
    player.know(live);
    await settle();
    video.showFrame(0);
  });

  it("inside the playlist only seeks", () => {
    player.show({ kind: "at", ms: ZERO_MS + 30_000 });
    expect(video.currentTime).toBe(30);
    expect(opened).toHaveLength(1);
  });

  it("outside of it opens another one", async () => {
    player.show({ kind: "at", ms: ZERO_MS + HOUR / 4 });
    await settle();
    expect(opened).toHaveLength(2);
    expect(opened[0]?.destroyed).toBe(true);
    expect(player.pictureMs).toBeNull();
  });

  it("goes on with what follows when a window ends, over a gap", async () => {
    player.show({ kind: "at", ms: ZERO_MS + HOUR - 90_000 });
    await settle();
    video.dispatchEvent(new Event("ended"));
    await settle();
    // The window of half an hour ended inside the gap.
    expect(bounds(last().url)[0]).toBe(1.5 * HOUR);
    expect(player.ended).toBe(false);
  });

  it("stops at the end of an offline stream", async () => {
    player.know(offline);
    player.show({ kind: "at", ms: endMs - 100_000 });
    await settle();
    video.dispatchEvent(new Event("ended"));
    await settle();
    expect(player.ended).toBe(true);
    expect(opened).toHaveLength(2);
  });
});

describe("the picture", () => {
  it("has the time of the frame on screen", async () => {
    player.know(live);
    await settle();
    video.showFrame(12.345);
    expect(player.pictureMs).toBe(ZERO_MS + 12_345);
  });

  it("of the key frame before the wished moment is not shown", async () => {
    player.wish = { kind: "at", ms: ZERO_MS + 7_000 };
    player.know(live);
    await settle();
    video.showFrame(6);
    expect([player.shown, player.pictureMs]).toEqual([false, null]);
    video.showFrame(7);
    expect([player.shown, player.pictureMs]).toEqual([true, ZERO_MS + 7_000]);
    // What is sought from then on may lie before it.
    video.showFrame(5);
    expect(player.pictureMs).toBe(ZERO_MS + 5_000);
  });

  it("of sound alone has the time of the element", async () => {
    player.know(live);
    await settle();
    video.videoWidth = 0;
    video.currentTime = 3;
    video.dispatchEvent(new Event("timeupdate"));
    expect(player.pictureMs).toBe(ZERO_MS + 3_000);
  });

  it("goes on from the archive when live has moved on during a pause", async () => {
    player.know(live);
    await settle();
    video.showFrame(LENGTH_MS / 1_000 + 5);
    player.play();
    await settle();
    expect(player.wish).toEqual({ kind: "at", ms: ZERO_MS + LENGTH_MS + 5_000 });
    expect(player.live).toBe(false);
  });
});

describe("a failure", () => {
  beforeEach(async () => {
    player.know(live);
    await settle();
    video.showFrame(1);
  });

  it("is tried again once the server has answered, not before its pause", async () => {
    last().events.failed(lost);
    expect(player.problem).toEqual(lost);
    player.know(live);
    await settle();
    expect(opened).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(opened).toHaveLength(1);
    expect(player.pictureMs).not.toBeNull();
    player.know(live);
    await settle();
    expect(opened).toHaveLength(2);
    expect(player.problem).toBeNull();
  });

  it("waits longer each time, and short again after pictures", async () => {
    last().events.failed(lost);
    await vi.advanceTimersByTimeAsync(2_000);
    player.know(live);
    await settle();
    last().events.failed(lost);
    await vi.advanceTimersByTimeAsync(3_999);
    player.know(live);
    await settle();
    expect(opened).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    player.know(live);
    await settle();
    expect(opened).toHaveLength(3);
    video.dispatchEvent(new Event("playing"));
    last().events.failed(lost);
    await vi.advanceTimersByTimeAsync(2_000);
    player.know(live);
    await settle();
    expect(opened).toHaveLength(4);
  });

  it("of a recording goes on from the picture on screen", async () => {
    player.show({ kind: "at", ms: ZERO_MS });
    await settle();
    video.showFrame(42);
    last().events.failed(lost);
    await vi.advanceTimersByTimeAsync(2_000);
    player.know(live);
    await settle();
    expect(bounds(last().url)[0]).toBe(42_000);
  });

  it("that cannot pass is not tried again", async () => {
    last().events.failed({ kind: "codec", text: "" });
    await vi.advanceTimersByTimeAsync(60_000);
    player.know(live);
    await settle();
    expect(opened).toHaveLength(1);
  });

  it("of a missing playlist is tried again for live, not for a recorded moment", async () => {
    last().events.failed({ kind: "gone", text: "" });
    await vi.advanceTimersByTimeAsync(2_000);
    player.know(live);
    await settle();
    expect(opened).toHaveLength(2);
    player.show({ kind: "at", ms: ZERO_MS });
    await settle();
    last().events.failed({ kind: "gone", text: "" });
    await vi.advanceTimersByTimeAsync(60_000);
    player.know(live);
    await settle();
    expect(opened).toHaveLength(3);
  });

  it("for want of a token asks for it", () => {
    last().events.failed({ kind: "unauthorized", text: "" });
    expect(session.refused).toHaveBeenCalledOnce();
  });

  it("of a playlist that is not played any more is nobody's business", async () => {
    const old = last();
    player.show({ kind: "at", ms: ZERO_MS });
    await settle();
    old.events.failed(lost);
    expect(player.problem).toBeNull();
  });
});
