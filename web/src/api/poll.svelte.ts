/**
 * Asks again and again for something that changes, only while the page is visible, slower while it
 * fails. The last good answer stays while later requests fail, beside the error.
 */
import { nextDelayMs } from "./delay";
import { fromThrown, type ApiError } from "./errors";

/** First pause after a failure of something that is otherwise asked only once. */
const RETRY_MS = 2_000;

export class Poll<T> {
  data = $state.raw<T | null>(null);
  /** Why the newest request failed; null as soon as one succeeds. */
  error = $state.raw<ApiError | null>(null);
  /** When the newest good answer arrived, by the browser's clock. */
  answeredAtMs = $state<number | null>(null);

  #ask: (cancel: AbortSignal) => Promise<T>;
  #intervalMs: () => number;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #cancel = new AbortController();
  #stopped = true;

  /**
   * @param intervalMs the pause after each answer, or a function that gives it; `Infinity` asks
   *   once, and again only after a failure or by `refresh`.
   */
  constructor(intervalMs: number | (() => number), ask: (cancel: AbortSignal) => Promise<T>) {
    this.#intervalMs = typeof intervalMs === "number" ? () => intervalMs : intervalMs;
    this.#ask = ask;
  }

  /** Nothing has been answered yet, well or badly. */
  get loading(): boolean {
    return this.data === null && this.error === null;
  }

  /** Starts asking; returns the function that stops it, as a Svelte effect wants it. */
  start(): () => void {
    this.#stopped = false;
    const onVisible = (): void => {
      if (document.visibilityState === "visible") this.refresh();
      else clearTimeout(this.#timer);
    };
    document.addEventListener("visibilitychange", onVisible);
    this.refresh();
    return () => {
      this.#stopped = true;
      document.removeEventListener("visibilitychange", onVisible);
      clearTimeout(this.#timer);
      this.#cancel.abort();
    };
  }

  /** Asks now, dropping a request that is still under way. */
  refresh(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#cancel.abort();
    this.#cancel = new AbortController();
    void this.#once(this.#cancel.signal);
  }

  async #once(cancel: AbortSignal): Promise<void> {
    try {
      const data = await this.#ask(cancel);
      if (cancel.aborted) return;
      this.data = data;
      this.error = null;
      this.answeredAtMs = Date.now();
      this.#failures = 0;
    } catch (thrown) {
      if (cancel.aborted) return;
      this.error = fromThrown(thrown);
      this.#failures += 1;
    }
    if (document.visibilityState !== "visible") return;
    const intervalMs = this.#intervalMs();
    const base = Number.isFinite(intervalMs) ? intervalMs : RETRY_MS;
    if (this.#failures === 0 && base !== intervalMs) return;
    this.#timer = setTimeout(() => this.refresh(), nextDelayMs(base, this.#failures));
  }
}
