// How much room there is and what is kept, on the start page and a stream's page.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  api,
  assertNoSidewaysScroll,
  DESKTOP,
  launch,
  openPage,
  PHONE,
  serverUrl,
  streamApi,
  until,
} from "./browser.mjs";

const STREAM = "kept-e2e";
const token = process.env.KINORA_TOKEN;
const headers = token ? { authorization: `Bearer ${token}` } : {};

/** What a change that the server must take answers. */
async function put(path, body) {
  const response = await fetch(serverUrl + path, {
    method: "PUT",
    headers,
    body: JSON.stringify(body),
  });
  assert.ok(response.ok, `PUT ${path}: ${response.status}`);
  return response.json();
}

let browser;
before(async () => {
  browser = await launch();
  const { fragments } = await until("a recorded fragment", 60_000, async () => {
    const list = await api(`${streamApi}/fragments?limit=1`);
    return list.fragments.length > 0 ? list : null;
  });
  const file = await fetch(`${serverUrl}${streamApi}/fragments/${fragments[0].number}.mkv`, {
    headers,
  });
  const body = await file.arrayBuffer();
  for (const time of ["09:00:00", "10:00:00", "11:00:00"]) {
    const path = `/v1/streams/${STREAM}/media?start=2026-03-01T${time}Z`;
    await (await fetch(serverUrl + path, { method: "POST", headers, body })).text();
  }
  // The first is pinned, the second goes, the third may stay.
  const pin = {
    start: "2026-03-01T08:59:00Z",
    end: "2026-03-01T09:01:00Z",
    by: "ann",
    reason: "case 7",
  };
  await put(`/v1/streams/${STREAM}/pins/break-in`, pin);
  const { fragments: all } = await api(`/v1/streams/${STREAM}`);
  const retention = { max_age_s: 172_800, max_bytes: Math.ceil(all.bytes / all.count) };
  await put(`/v1/streams/${STREAM}`, { retention });
});
after(async () => {
  await fetch(`${serverUrl}/v1/streams/${STREAM}`, { method: "DELETE", headers });
  await browser?.close();
});

const card = (page, name) => page.getByRole("region", { name, exact: true });
const words = async (locator) => (await locator.innerText()).replace(/\s+/g, " ");

describe("room", () => {
  it("is told on the start page, with what comes at the present rate", async () => {
    const { page, troubles, close } = await openPage(browser, "/");
    const room = card(page, "Storage");
    const text = await words(room);
    assert.match(text, /[\d.]+ [kMG]?B recordings [\d.]+ \w+ other files/);
    assert.match(text, /[\d.]+ \w+ free, [\d.]+ \w+ of it left free/);
    // A camera is recording, so there is a rate as soon as there was a file.
    await room.getByText(/ at [\d.]+ [kM]?B\/s/).waitFor({ timeout: 30_000 });
    assert.deepEqual(troubles(), []);
    await close();
  });

  it("says at the limit that room is made, and leads to what goes first", async () => {
    const { page, close } = await openPage(browser, "/");
    // A disk cannot be filled here: the server's answer is changed on its way.
    await page.route("**/v1/storage", async (route) => {
      const answer = await (await route.fetch()).json();
      answer.state = "low";
      answer.forecast.next_stream = STREAM;
      answer.forecast.next_recorded_at = "2026-03-01T09:00:00.000Z";
      await route.fulfill({ json: answer });
    });
    await page.reload();
    const room = card(page, "Storage");
    await room.getByText("The disk is reached: the oldest recordings make room.").waitFor();
    assert.match(await words(room), /Goes first kept-e2e its recording from 2026-03-01 .* on; older is gone, but for pins/);
    await room.getByRole("link", { name: STREAM }).click();
    await page.getByRole("heading", { level: 1, name: STREAM }).waitFor();
    await close();
  });

  it("fits a phone", async () => {
    const { page, close } = await openPage(browser, "/", { viewport: PHONE });
    await card(page, "Storage").waitFor();
    await assertNoSidewaysScroll(page);
    await close();
  });
});

describe("what a stream keeps", () => {
  for (const viewport of [DESKTOP, PHONE]) {
    it(`is told with its limits and pins, ${viewport.width} px wide`, async () => {
      const path = `/streams/${STREAM}`;
      const options = { viewport, timezoneId: "UTC" };
      const { page, troubles, close } = await openPage(browser, path, options);
      const kept = card(page, "Kept");
      const pins = kept.getByRole("list", { name: "Pins" }).getByRole("listitem");
      await pins.first().waitFor();
      const text = await words(kept);
      assert.match(text, /Limit by age 2 d, its own/);
      assert.match(text, /Limit by size [\d.]+ kB, its own/);
      assert.match(text, /Expired fragments before \d/);
      assert.match(text, /Next to expire in 1 d, by age/);
      const pinned = await words(pins.first());
      assert.match(pinned, /^break-in [\d.]+ kB 2026-03-01 08:59:00 to 2026-03-01 09:01:00 ann: case 7$/);
      assert.equal(await pins.count(), 1);
      await assertNoSidewaysScroll(page);
      assert.deepEqual(troubles(), []);
      await close();
    });
  }
});
