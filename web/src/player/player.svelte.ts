/**
 * One stream's player as state: what is wished, what is on screen, what is wrong. Decides which
 * playlist to load (`source.ts`) and lets an engine play it (`engine.ts`). Knows no page, no
 * address bar and no list of fragments.
 */
import { nextDelayMs } from "../api/delay";
import { session } from "../api/session.svelte";
import { server } from "../paths";
import { hasMediaSource, loadHls, openHls, openNative, type Engine } from "./engine";
import { passes, type Problem } from "./problem";
import { afterEnd, chooseSource, type Recording, type Source, type Wish } from "./source";

/** Shortest pause before a failed playlist is loaded again; it doubles from there. */
const RETRY_MS = 2_000;
/** One step of the frame buttons where the frame rate is unknown. */
const DEFAULT_FRAME_S = 1 / 25;
/** A seek arrives a rounding error beside where it was sent. */
const SEEK_TOLERANCE_S = 0.01;

export class Player {
  /** The moment of the picture on screen, in producer time. */
  pictureMs = $state<number | null>(null);
  wish = $state.raw<Wish>({ kind: "live" });
  /** The playlist being played. */
  source = $state.raw<Source | null>(null);
  problem = $state.raw<Problem | null>(null);
  paused = $state(true);
  /** Nothing to show right now: loading, seeking, or the buffer ran dry. */
  waiting = $state(true);
  muted = $state(true);
  /** The recording's end was reached. */
  ended = $state(false);
  /** A picture of this playlist has been shown, at the wished moment or after it. */
  shown = $state(false);

  readonly stream: string;
  #video: HTMLVideoElement | null = null;
  #engine: Engine | null = null;
  #recording: Recording | null = null;
  #generation = 0;
  #failures = 0;
  #retryDue = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #frameTimer = 0;

  constructor(stream: string) {
    this.stream = stream;
  }

  /** Playing the live playlist, as opposed to a recorded moment. */
  get live(): boolean {
    return this.source !== null && this.source.startMs === null;
  }

  /** Ties the player to its element; for `{@attach}`. */
  attach = (video: HTMLVideoElement): (() => void) => {
    this.#video = video;
    video.muted = this.muted;
    const listeners: readonly (readonly [string, () => void])[] = [
      ["play", () => (this.paused = false)],
      ["pause", () => (this.paused = true)],
      ["waiting", () => (this.waiting = true)],
      ["seeking", () => (this.waiting = true)],
      ["seeked", () => (this.waiting = video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA)],
      ["canplay", () => (this.waiting = false)],
      ["playing", () => this.#onPlaying()],
      ["volumechange", () => (this.muted = video.muted)],
      ["ended", () => this.#onEnded()],
      // Sound alone shows no frames; then the element's own clock must do.
      ["timeupdate", () => video.videoWidth === 0 && this.#onPicture(video.currentTime)],
    ];
    for (const [event, listener] of listeners) video.addEventListener(event, listener);
    this.#watchFrames(video);
    this.#load();
    return () => {
      for (const [event, listener] of listeners) video.removeEventListener(event, listener);
      video.cancelVideoFrameCallback(this.#frameTimer);
      this.#unload();
      this.#video = null;
    };
  };

  /**
   * What is recorded, as the server has just told. An answer also means that it can be reached, so
   * a playlist that failed is loaded again now if its pause is over: until then the last picture
   * stays on screen.
   */
  know(recording: Recording): void {
    const before = this.#recording;
    this.#recording = recording;
    const cameLive = recording.live && before?.live === false && this.wish.kind === "live";
    if (this.#retryDue && !this.live && this.pictureMs !== null) {
      this.wish = { kind: "at", ms: this.pictureMs };
    }
    if (this.source === null || cameLive || this.#retryDue) this.#load();
  }

  /** Shows a moment, or live; inside the loaded playlist by a mere seek. */
  show(wish: Wish): void {
    this.wish = wish;
    this.ended = false;
    this.#failures = 0;
    const video = this.#video;
    if (wish.kind === "at" && video && !this.live && !this.problem) {
      const position = this.#engine?.mediaTimeAt(wish.ms) ?? null;
      if (position !== null) {
        video.currentTime = position;
        void video.play().catch(() => undefined);
        return;
      }
    }
    this.#load();
  }

  toggle(): void {
    if (this.paused) this.play();
    else this.#video?.pause();
  }

  play(): void {
    const video = this.#video;
    if (!video) return;
    if (this.ended || this.problem) {
      this.show(this.wish);
      return;
    }
    // A live playlist forgets; after a long pause the moment on screen is only in the archive.
    const shown = this.pictureMs;
    if (this.live && shown !== null && this.#engine?.mediaTimeAt(shown) === null) {
      this.show({ kind: "at", ms: shown });
      return;
    }
    void video.play().catch(() => undefined);
  }

  /** Moves by whole frames while paused. */
  step(frames: number, frameRate: number | null): void {
    const video = this.#video;
    if (!video) return;
    video.pause();
    const frameS = frameRate !== null && frameRate > 0 ? 1 / frameRate : DEFAULT_FRAME_S;
    video.currentTime = Math.max(0, video.currentTime + frames * frameS);
  }

  toggleMuted(): void {
    if (this.#video) this.#video.muted = !this.#video.muted;
  }

  /** Loads again at once, without waiting for the next try. */
  retry(): void {
    this.#failures = 0;
    this.#load();
  }

  #load(): void {
    const video = this.#video;
    const recording = this.#recording;
    if (!video || !recording) return;
    this.#unload();
    const source = chooseSource(this.wish, recording);
    this.source = source;
    if (!source) {
      this.waiting = false;
      return;
    }
    this.waiting = true;
    this.shown = false;
    this.pictureMs = null;
    const generation = this.#generation;
    const events = {
      failed: (problem: Problem) => this.#onFailed(generation, problem),
      mapped: () => this.#onMapped(generation),
    };
    // Pictures of a stream that is offline wait for the viewer; everything asked for plays.
    const autoplay = this.wish.kind === "at" || recording.live;
    const url = server.hls(this.stream, source.startMs, source.endMs);
    if (hasMediaSource()) {
      void loadHls().then(
        (HlsClass) => {
          // Something else may have been wished while the code was on its way.
          if (generation !== this.#generation) return;
          this.#adopt(openHls(HlsClass, video, url, events), autoplay);
        },
        () => this.#onFailed(generation, { kind: "network", text: "The player cannot be loaded." }),
      );
    } else {
      this.#adopt(openNative(video, url, events), autoplay);
    }
  }

  #adopt(engine: Engine, autoplay: boolean): void {
    this.#engine = engine;
    // Browsers let only silent video start by itself; where even that is refused, the play
    // button stays.
    if (autoplay) void this.#video?.play().catch(() => undefined);
    else this.#video?.pause();
  }

  #unload(): void {
    this.#generation += 1;
    clearTimeout(this.#retryTimer);
    this.#retryDue = false;
    this.#engine?.destroy();
    this.#engine = null;
    this.source = null;
    this.problem = null;
  }

  #onPlaying(): void {
    this.waiting = false;
    this.ended = false;
    this.#failures = 0;
  }

  #onEnded(): void {
    const next = this.source && this.#recording ? afterEnd(this.source, this.#recording) : null;
    // An offline stream's last pictures lead nowhere; neither does the end of a recording.
    if (next) this.show(next);
    else this.ended = true;
  }

  #onFailed(generation: number, problem: Problem): void {
    if (generation !== this.#generation) return;
    this.problem = problem;
    this.waiting = false;
    if (problem.kind === "unauthorized") session.refused();
    // A stream that has just begun has no live playlist before its first fragment.
    const begins = problem.kind === "gone" && this.wish.kind === "live";
    if (!passes(problem) && !begins) return;
    this.#failures += 1;
    this.#retryTimer = setTimeout(
      () => (this.#retryDue = true),
      nextDelayMs(RETRY_MS, this.#failures),
    );
  }

  #onMapped(generation: number): void {
    if (generation === this.#generation && this.#video && this.shown && this.paused) {
      this.#onPicture(this.#lastMediaTimeS);
    }
  }

  #lastMediaTimeS = 0;

  #watchFrames(video: HTMLVideoElement): void {
    const onFrame = (_: number, frame: VideoFrameCallbackMetadata): void => {
      this.#onPicture(frame.mediaTime);
      this.#frameTimer = video.requestVideoFrameCallback(onFrame);
    };
    this.#frameTimer = video.requestVideoFrameCallback(onFrame);
  }

  /**
   * Decoding begins with the key frame before the moment, and its picture can be there before the
   * element has been told to seek.
   */
  #isEarly(): boolean {
    const wishedMs = this.source?.startMs ?? null;
    const position = wishedMs === null ? null : (this.#engine?.mediaTimeAt(wishedMs) ?? null);
    if (this.shown || position === null || !this.#video) return false;
    return this.#video.currentTime < position - SEEK_TOLERANCE_S;
  }

  #onPicture(mediaTimeS: number): void {
    this.#lastMediaTimeS = mediaTimeS;
    const moment = this.#engine?.wallClockAt(mediaTimeS) ?? null;
    if (moment === null || this.#isEarly()) return;
    this.pictureMs = moment;
    this.shown = true;
  }
}
