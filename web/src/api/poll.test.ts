import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "./errors";
import { Poll } from "./poll.svelte";

/** The little of a document that polling looks at. */
class FakeDocument extends EventTarget {
  visibilityState: "visible" | "hidden" = "visible";

  turn(state: "visible" | "hidden"): void {
    this.visibilityState = state;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

let page: FakeDocument;
beforeEach(() => {
  vi.useFakeTimers();
  page = new FakeDocument();
  vi.stubGlobal("document", page);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const lost = new ApiError("unreachable", "unreachable", "lost");

describe("asking again and again", () => {
  it("asks at once and then after each interval, until stopped", async () => {
    let count = 0;
    const poll = new Poll(2_000, () => Promise.resolve((count += 1)));
    expect(poll.loading).toBe(true);
    const stop = poll.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(poll.data).toBe(1);
    expect(poll.loading).toBe(false);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(poll.data).toBe(3);
    stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(count).toBe(3);
  });

  it("pauses while the page is hidden and asks at once when it is back", async () => {
    const ask = vi.fn(() => Promise.resolve(1));
    const stop = new Poll(2_000, ask).start();
    await vi.advanceTimersByTimeAsync(0);
    page.turn("hidden");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ask).toHaveBeenCalledTimes(1);
    page.turn("visible");
    await vi.advanceTimersByTimeAsync(0);
    expect(ask).toHaveBeenCalledTimes(2);
    stop();
  });

  it("is not kept going by an answer that comes while the page is hidden", async () => {
    const answers: ((value: number) => void)[] = [];
    const ask = vi.fn(() => new Promise<number>((resolve) => answers.push(resolve)));
    const stop = new Poll(2_000, ask).start();
    page.turn("hidden");
    answers[0]?.(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ask).toHaveBeenCalledTimes(1);
    stop();
  });

  it("asks only once with an endless interval, but repeats a failure", async () => {
    const ask = vi.fn<() => Promise<number>>();
    ask.mockRejectedValueOnce(lost).mockResolvedValue(7);
    const poll = new Poll(Infinity, ask);
    const stop = poll.start();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(poll.data).toBe(7);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(ask).toHaveBeenCalledTimes(2);
    stop();
  });
});

describe("a failure", () => {
  it("keeps the last answer, slows down, and is forgotten with the next answer", async () => {
    const ask = vi.fn<() => Promise<number>>();
    ask.mockResolvedValueOnce(1).mockRejectedValueOnce(lost).mockRejectedValueOnce(lost);
    ask.mockResolvedValue(2);
    const poll = new Poll(2_000, ask);
    const stop = poll.start();
    await vi.advanceTimersByTimeAsync(2_000);
    expect([poll.data, poll.error]).toEqual([1, lost]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(ask).toHaveBeenCalledTimes(3);
    await vi.advanceTimersByTimeAsync(3_999);
    expect(ask).toHaveBeenCalledTimes(3);
    await vi.advanceTimersByTimeAsync(1);
    expect([poll.data, poll.error]).toEqual([2, null]);
    stop();
  });
});

it("drops an answer that is overtaken by a newer question", async () => {
  const answers: ((value: string) => void)[] = [];
  const cancelled: boolean[] = [];
  const poll = new Poll(2_000, (cancel) => {
    const index = cancelled.push(false) - 1;
    cancel.addEventListener("abort", () => (cancelled[index] = true));
    return new Promise<string>((resolve) => answers.push(resolve));
  });
  const stop = poll.start();
  poll.refresh();
  expect(cancelled).toEqual([true, false]);
  answers[1]?.("new");
  await vi.advanceTimersByTimeAsync(0);
  answers[0]?.("old");
  await vi.advanceTimersByTimeAsync(0);
  expect(poll.data).toBe("new");
  stop();
});
