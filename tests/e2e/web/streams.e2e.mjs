// The list of streams in a real browser.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  api,
  assertNoSidewaysScroll,
  launch,
  openPage,
  PHONE,
  streamApi,
  streamName,
  until,
} from "./browser.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

describe("the list of streams", () => {
  it("shows the stream live with what the API knows about it", async () => {
    const { page, troubles, close } = await openPage(browser, "/");
    const row = page.locator(`[data-stream="${streamName}"]`);
    await row.waitFor();
    await page.locator(`[data-stream="${streamName}"][data-state="live"]`).waitFor();

    const stream = await api(streamApi);
    const video = stream.tracks.find((track) => track.kind === "video");
    const text = (await row.innerText()).replaceAll("\u2009", "");
    assert.match(text, /Live/);
    for (const track of stream.tracks) assert.ok(text.includes(track.codec), track.codec);
    assert.ok(text.includes(`${video.width}×${video.height}`), text);
    assert.match(text, /\d (kbit|Mbit)\/s/);
    assert.ok(text.includes(String(Number(video.frame_rate.toFixed(2)))), text);
    assert.deepEqual(troubles(), []);
    await close();
  });

  it("updates by itself", async () => {
    const { page, troubles, close } = await openPage(browser, "/");
    const recorded = page.locator(`[data-stream="${streamName}"] [data-label="Recorded span"]`);
    const before = await recorded.innerText();
    await until("the recorded amount to grow", 15_000, async () => {
      return (await recorded.innerText()) !== before;
    });
    assert.deepEqual(troubles(), []);
    await close();
  });

  it("filters, and keeps the filter in its address", async () => {
    const { page, close } = await openPage(browser, "/");
    const search = page.getByRole("searchbox");
    await search.fill("no stream has this name");
    await page.getByText("No stream matches").waitFor();
    assert.match(page.url(), /\?q=no\+stream/);
    await search.fill(streamName);
    await page.locator(`[data-stream="${streamName}"]`).waitFor();
    await page.reload();
    assert.equal(await page.getByRole("searchbox").inputValue(), streamName);
    await close();
  });

  it("leads to the stream's page and back", async () => {
    const { page, close } = await openPage(browser, "/");
    await page.getByRole("link", { name: streamName, exact: true }).click();
    await page.getByRole("heading", { level: 1, name: streamName }).waitFor();
    assert.equal(new URL(page.url()).pathname, `/streams/${streamName}`);
    await page.goBack();
    await page.locator(`[data-stream="${streamName}"]`).waitFor();
    await close();
  });

  it("says so when the server cannot be reached, and recovers", async () => {
    const { page, close } = await openPage(browser, "/");
    await page.locator(`[data-stream="${streamName}"]`).waitFor();
    await page.context().setOffline(true);
    await page.getByText("The server cannot be reached.").waitFor();
    assert.equal(await page.locator(`[data-stream="${streamName}"]`).count(), 1);
    await page.context().setOffline(false);
    await page.getByText("The server cannot be reached.").waitFor({ state: "detached" });
    await close();
  });

  it("fits a phone", async () => {
    const { page, troubles, close } = await openPage(browser, "/", { viewport: PHONE });
    await page.locator(`[data-stream="${streamName}"]`).waitFor();
    await assertNoSidewaysScroll(page);
    assert.deepEqual(troubles(), []);
    await close();
  });

  it("remembers the chosen theme", async () => {
    const { page, close } = await openPage(browser, "/", { colorScheme: "light" });
    const background = () => page.evaluate(() => getComputedStyle(document.body.parentElement).backgroundColor);
    const light = await background();
    await page.getByRole("button", { name: "Switch to dark theme" }).click();
    const dark = await background();
    assert.notEqual(dark, light);
    await page.reload();
    assert.equal(await background(), dark);
    await close();
  });
});
