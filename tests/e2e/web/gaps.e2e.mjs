// When nothing was recorded, and why, on a stream's page in a real browser.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  api,
  assertNoSidewaysScroll,
  launch,
  openPage,
  PHONE,
  serverUrl,
  streamApi,
  until,
} from "./browser.mjs";

const STREAM = "gaps-e2e";
const gapsPage = `/streams/${STREAM}`;
const token = process.env.KINORA_TOKEN;
const headers = token ? { authorization: `Bearer ${token}` } : {};

let browser;
before(async () => {
  browser = await launch();
  const { fragments } = await until("a recorded fragment", 60_000, async () => {
    const list = await api(`${streamApi}/fragments?limit=1`);
    return list.fragments.length > 0 ? list : null;
  });
  const file = await fetch(
    `${serverUrl}${streamApi}/fragments/${fragments[0].number}.mkv`,
    {
      headers,
    },
  );
  const media = await file.arrayBuffer();
  // Whole sessions, and one whose last bytes never come.
  for (const [time, body, end] of [
    ["2026-03-01T12:00:00Z", media, "producer_stopped"],
    [
      "2026-03-01T12:30:00Z",
      media.slice(0, media.byteLength - 100),
      "input_refused",
    ],
    ["2026-03-02T09:00:00Z", media, "producer_stopped"],
  ]) {
    const path = `/v1/streams/${STREAM}/media?start=${time}`;
    await (
      await fetch(serverUrl + path, { method: "POST", headers, body })
    ).text();
    const { absence } = await api(`/v1/streams/${STREAM}`);
    assert.equal(absence.cause, end);
  }
});
after(async () => {
  await fetch(`${serverUrl}/v1/streams/${STREAM}`, {
    method: "DELETE",
    headers,
  });
  await browser?.close();
});

/** The card that tells them. */
const card = (page) => page.getByRole("region", { name: "Gaps" });

describe("gaps", () => {
  it("are listed with their causes in words, the newest first", async () => {
    const { page, troubles, close } = await openPage(browser, gapsPage, {
      timezoneId: "UTC",
    });
    const rows = card(page).getByRole("listitem");
    await rows.first().waitFor();
    const texts = (await rows.allInnerTexts()).map((text) =>
      text.replace(/\s+/g, " "),
    );
    assert.equal(texts.length, 3);
    assert.match(texts[0], /^2026-03-02 09:00:0\d not over The producer ended/);
    assert.match(
      texts[1],
      /^2026-03-01 12:30:0\d 20 h 29 min Input refused .*at byte/,
    );
    assert.match(texts[2], /^2026-03-01 12:00:0\d 29 min .*The producer ended/);
    await page.getByText(/last seen .*: the producer ended/).waitFor();
    assert.deepEqual(troubles(), []);
    await close();
  });

  it("are told by the strip to keys and to a pointer, of the day in the address", async () => {
    const { page, close } = await openPage(
      browser,
      `${gapsPage}?day=2026-03-01`,
      {
        timezoneId: "UTC",
      },
    );
    const strip = page.getByRole("slider", { name: "Gaps in the recording" });
    await until("two gaps", 15_000, async () => {
      return (await strip.getAttribute("aria-valuetext")) === "2 gaps";
    });
    await strip.focus();
    await strip.press("ArrowRight");
    const first = await strip.getAttribute("aria-valuetext");
    assert.match(
      first,
      /^Gap 1 of 2: The producer ended at 2026-03-01 12:00:0\d, for 29 min/,
    );
    await strip.press("End");
    assert.match(
      await strip.getAttribute("aria-valuetext"),
      /^Gap 2 of 2: Input refused/,
    );
    await strip.scrollIntoViewIfNeeded();
    const box = await strip.boundingBox();
    await page.mouse.move(box.x + box.width * 0.75, box.y + 10);
    await card(page).locator(".tip").getByText("Input refused").waitFor();
    await card(page).getByRole("button", { name: "The day after" }).click();
    await page.waitForURL(/day=2026-03-02/);
    await close();
  });

  it("fit a phone", async () => {
    const { page, close } = await openPage(browser, gapsPage, {
      viewport: PHONE,
    });
    await card(page).getByRole("listitem").first().waitFor();
    await assertNoSidewaysScroll(page);
    await close();
  });
});
