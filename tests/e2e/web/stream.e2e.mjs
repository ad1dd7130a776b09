// One stream's page in a real browser: live pictures, the recording, the fragments.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  api,
  assertNoSidewaysScroll,
  launch,
  openPage,
  PHONE,
  picture,
  shownMs,
  streamApi,
  streamName,
  until,
  untilPlaying,
} from "./browser.mjs";

/** How far the live picture may be behind the newest fragment: HLS keeps three segments back. */
const LIVE_TOLERANCE_MS = 20_000;
/** One frame at 25 frames a second: the precision of a jump. */
const FRAME_MS = 40;

const streamPage = `/streams/${encodeURIComponent(streamName)}`;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** Some fragment that has been recorded for a while, so that it is far from the live edge. */
async function oldFragment() {
  const { fragments } = await until("some recorded fragments", 60_000, async () => {
    const list = await api(`${streamApi}/fragments?order=asc&limit=10`);
    return list.fragments.length >= 5 ? list : null;
  });
  return fragments[2];
}

describe("live", () => {
  it("plays by itself, muted, and the picture moves", async () => {
    const { page, troubles, close } = await openPage(browser, streamPage);
    await untilPlaying(page);
    assert.equal(await page.evaluate(() => document.querySelector("video").muted), true);
    await page.getByRole("button", { name: "Playing live" }).waitFor();
    assert.deepEqual(troubles(), []);
    await close();
  });

  it("shows when the picture was taken, close to what is being received", async () => {
    const { page, close } = await openPage(browser, streamPage);
    await untilPlaying(page);
    const shown = await shownMs(page);
    const { fragments } = await api(`${streamApi}/fragments?order=desc&limit=1`);
    const newestMs = Date.parse(fragments[0].producer_time) + fragments[0].duration_ms;
    assert.ok(shown > newestMs - LIVE_TOLERANCE_MS, `${newestMs - shown} ms behind the newest`);
    assert.ok(shown < newestMs + LIVE_TOLERANCE_MS, `${shown - newestMs} ms ahead of the newest`);
    await close();
  });

  it("advances the shown time as fast as time passes", async () => {
    const { page, close } = await openPage(browser, streamPage);
    await untilPlaying(page);
    const first = await picture(page);
    const second = await until("two seconds of pictures", 20_000, async () => {
      const now = await picture(page);
      return now.currentTime > first.currentTime + 2 ? now : null;
    });
    const shown = Date.parse(second.shownAt) - Date.parse(first.shownAt);
    const played = (second.currentTime - first.currentTime) * 1_000;
    // Both are read at some moment between two frames.
    assert.ok(Math.abs(shown - played) < 250, `${shown} ms shown in ${played} ms played`);
    await close();
  });

  it("pauses, steps frame by frame and goes back to live", async () => {
    const { page, close } = await openPage(browser, streamPage);
    await untilPlaying(page);
    await page.keyboard.press("k");
    await until("the pause", 5_000, async () => (await picture(page)).paused);
    const before = await until("the shown time to rest", 5_000, async () => {
      const first = await shownMs(page);
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 200)));
      return (await shownMs(page)) === first ? first : null;
    });
    await page.keyboard.press(",");
    await until("the frame before", 10_000, async () => {
      const stepped = before - (await shownMs(page));
      return stepped > 0 && stepped <= 2 * FRAME_MS;
    });
    await page.getByRole("button", { name: "Go live" }).click();
    await page.getByRole("button", { name: "Playing live" }).waitFor();
    await untilPlaying(page);
    await close();
  });
});

describe("the recording", () => {
  it("is shown from the moment in the address", async () => {
    const fragment = await oldFragment();
    const wanted = Date.parse(fragment.producer_time) + Math.round(fragment.duration_ms / 2);
    const path = `${streamPage}?t=${encodeURIComponent(new Date(wanted).toISOString())}`;
    const { page, troubles, close } = await openPage(browser, path);
    // The key frame that decoding began with is not to be seen, not even for an instant.
    const first = await shownMs(page);
    assert.ok(
      first >= wanted - 2 * FRAME_MS && first <= wanted + 2_000,
      `wanted ${wanted}, first shown ${first}`,
    );
    await untilPlaying(page);
    assert.deepEqual(troubles(), []);
    await close();
  });

  it("is reached by the fragment's row, the picture then lies inside that fragment", async () => {
    const fragment = await oldFragment();
    const from = encodeURIComponent(fragment.producer_time);
    const { page, close } = await openPage(browser, `${streamPage}?show=range&from=${from}`);
    await untilPlaying(page);
    await page.locator(`[data-fragment="${fragment.number}"] a`).first().click();
    assert.equal(new URL(page.url()).searchParams.get("t"), fragment.producer_time);
    const startMs = Date.parse(fragment.producer_time);
    await until("a picture of that fragment", 20_000, async () => {
      const shown = await shownMs(page);
      return shown >= startMs - FRAME_MS && shown < startMs + fragment.duration_ms + 1_000;
    });
    await untilPlaying(page);
    await page.goBack();
    await page.getByRole("button", { name: "Playing live" }).waitFor();
    await close();
  });

  it("is reached by a date and time", async () => {
    const fragment = await oldFragment();
    const second = Math.ceil(Date.parse(fragment.producer_time) / 1_000) * 1_000;
    const { page, close } = await openPage(browser, streamPage, { timezoneId: "Asia/Kolkata" });
    await untilPlaying(page);
    const local = new Date(second + 5.5 * 3_600_000).toISOString().slice(0, 19);
    await page.getByLabel("Go to").fill(local);
    await page.getByRole("button", { name: "Go", exact: true }).click();
    await until("a picture of that second", 20_000, async () => {
      const shown = await shownMs(page);
      return shown >= second - FRAME_MS && shown < second + 5_000;
    });
    await close();
  });

  it("is reached by pointer and by keys on the bar of recorded time", async () => {
    const { page, close } = await openPage(browser, streamPage);
    await untilPlaying(page);
    const bar = page.getByRole("slider", { name: "Recorded time" });
    const { start, end } = (await api(streamApi)).range;
    const box = await bar.boundingBox();
    await page.mouse.click(box.x + box.width * 0.1, box.y + box.height / 3);
    const length = Date.parse(end) - Date.parse(start);
    const wanted = Date.parse(start) + length * 0.1;
    // The bar may have grown since; and a moment inside a gap plays what follows the gap.
    const asked = await until("the moment in the address", 5_000, async () => {
      return Date.parse(new URL(page.url()).searchParams.get("t") ?? "");
    });
    assert.ok(Math.abs(asked - wanted) < length * 0.02 + 5_000, `${asked - wanted} ms off`);
    await untilPlaying(page);
    assert.ok((await shownMs(page)) >= asked - FRAME_MS);

    await bar.focus();
    await page.keyboard.press("Home");
    await until("the first picture of the recording", 20_000, async () => {
      return Math.abs((await shownMs(page)) - Date.parse(start)) < 5_000;
    });
    await close();
  });
});

describe("the fragments", () => {
  it("are listed newest first and grow while live", async () => {
    const { page, troubles, close } = await openPage(browser, streamPage);
    const numbers = () =>
      page.$$eval("[data-fragment]", (rows) => rows.map((row) => Number(row.dataset.fragment)));
    const first = await until("rows", 20_000, async () => {
      const found = await numbers();
      return found.length > 0 ? found : null;
    });
    assert.deepEqual(first, first.toSorted((a, b) => b - a));
    await until("a newer fragment", 30_000, async () => (await numbers())[0] > first[0]);
    await page.getByText("persisted").first().waitFor();
    assert.deepEqual(troubles(), []);
    await close();
  });

  it("mark the one on screen and show what the API says about it", async () => {
    const fragment = await oldFragment();
    const t = encodeURIComponent(fragment.producer_time);
    const { page, close } = await openPage(browser, `${streamPage}?t=${t}`);
    const row = page.locator(`[data-fragment="${fragment.number}"]`);
    await row.waitFor();
    assert.equal(
      await row.locator("time").first().getAttribute("datetime"),
      fragment.producer_time,
    );
    await until("a marked row", 20_000, async () => {
      const marked = await page.$$eval("[aria-current=time]", (rows) =>
        rows.map((r) => Number(r.dataset.fragment)),
      );
      const shown = await shownMs(page);
      return marked.length === 1 && marked[0] >= fragment.number && shown > 0;
    });
    await close();
  });

  it("are selected by server time, the choice kept in the address", async () => {
    const fragment = await oldFragment();
    const from = encodeURIComponent(fragment.server_time);
    const path = `${streamPage}?show=range&by=server&from=${from}`;
    const { page, close } = await openPage(browser, path);
    await page.locator(`[data-fragment="${fragment.number}"]`).waitFor();
    assert.equal(await page.getByRole("radio", { name: "Server time" }).isChecked(), true);
    await close();
  });

  it("are downloaded as playable files", async () => {
    const fragment = await oldFragment();
    const from = encodeURIComponent(fragment.producer_time);
    const { page, close } = await openPage(browser, `${streamPage}?show=range&from=${from}`);
    for (const format of ["mp4", "mkv"]) {
      const name = `Download fragment ${fragment.number} as ${format}`;
      const coming = page.waitForEvent("download");
      await page.getByRole("link", { name, exact: true }).click();
      const download = await coming;
      assert.equal(await download.failure(), null);
      assert.equal(download.suggestedFilename(), `${streamName}-${fragment.number}.${format}`);
    }
    await close();
  });
});

describe("the page", () => {
  it("fits a phone", async () => {
    const { page, troubles, close } = await openPage(browser, streamPage, { viewport: PHONE });
    await untilPlaying(page);
    await page.locator("[data-fragment]").first().waitFor();
    await assertNoSidewaysScroll(page);
    assert.deepEqual(troubles(), []);
    await close();
  });

  it("says that a stream does not exist and how to make it", async () => {
    const { page, close } = await openPage(browser, "/streams/no.such-stream");
    await page.getByText("There is no stream “no.such-stream”").waitFor();
    await page.getByText("/v1/streams/no.such-stream/media").waitFor();
    await close();
  });

  it("survives a lost connection and plays on", async () => {
    const { page, close } = await openPage(browser, streamPage);
    await untilPlaying(page);
    await page.context().setOffline(true);
    await page.getByText("The server cannot be reached.").waitFor({ timeout: 30_000 });
    await page.context().setOffline(false);
    await page.getByText("The server cannot be reached.").waitFor({ state: "detached" });
    await untilPlaying(page, 60_000);
    await close();
  });
});
