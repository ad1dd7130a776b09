// What the browser tests share: the server and stream under test, a real Chromium, and a page
// that remembers everything that went wrong on it. Knows nothing of how the server was started.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

// playwright-core is a development dependency of web/, the only package of the repository.
const require = createRequire(new URL("../../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");

/** A setting that a test cannot do without. */
function setting(name, meaning) {
  const value = process.env[name];
  assert.ok(value, `set ${name}: ${meaning}`);
  return value;
}

/** Address of the server, without a slash at the end. */
export const serverUrl = setting("KINORA_URL", "address of a running kinora").replace(/\/$/, "");
/** A stream that is being pushed in real time during the whole test. */
export const streamName = setting("KINORA_STREAM", "name of a stream that is being pushed live");
/** The token, where the server was started with one. */
const token = process.env.KINORA_TOKEN;

export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** Starts Chromium without anything that would talk to the network by itself. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--autoplay-policy=no-user-gesture-required",
    ],
  });
}

/** Console messages that a browser writes for answers the app expects and handles. */
function isExpected(message, allowed) {
  return allowed.some((pattern) => pattern.test(message));
}

/**
 * A page of its own context, signed in where needed. `troubles()` returns the console errors,
 * uncaught exceptions and failed responses so far, except those that match `allowed`.
 */
export async function openPage(browser, path, { viewport = DESKTOP, allowed = [], ...rest } = {}) {
  const context = await browser.newContext({ viewport, ...rest });
  if (token) {
    const answer = await context.request.post(`${serverUrl}/v1/login`, { data: { token } });
    assert.equal(answer.status(), 204, "the server takes KINORA_TOKEN");
  }
  const page = await context.newPage();
  const seen = [];
  page.on("console", (message) => {
    if (message.type() === "error") seen.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => seen.push(`uncaught: ${error.message}`));
  page.on("response", (response) => {
    if (response.status() >= 400) seen.push(`${response.status()}: ${response.url()}`);
  });
  await page.goto(serverUrl + path);
  return {
    page,
    troubles: () => seen.filter((message) => !isExpected(message, allowed)),
    close: () => context.close(),
  };
}

/** JSON from the server's API, asked outside the browser. */
export async function api(path) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(serverUrl + path, { headers });
  assert.equal(response.status, 200, `GET ${path}`);
  return response.json();
}

export const streamApi = `/v1/streams/${encodeURIComponent(streamName)}`;

/**
 * Asks `probe` again and again until it returns something true, for at most `timeoutMs`. What
 * is waited for always comes by itself: there is no fixed pause that hopes to be long enough.
 */
export async function until(what, timeoutMs, probe) {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    assert.ok(performance.now() < deadline, `waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What the player's element says, and a fingerprint of its picture's pixels. */
export function picture(page) {
  return page.evaluate(() => {
    const video = document.querySelector("video");
    if (!video || video.videoWidth === 0) return null;
    const canvas = document.createElement("canvas");
    canvas.width = 160;
    canvas.height = 90;
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    let hash = 0;
    for (let i = 0; i < data.length; i += 4) {
      const pixel = (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
      seen.add(pixel >> 4);
      hash = (hash * 31 + pixel) | 0;
    }
    return {
      currentTime: video.currentTime,
      paused: video.paused,
      frames: video.getVideoPlaybackQuality().totalVideoFrames,
      colours: seen.size,
      hash,
      shownAt: document.querySelector("[data-picture-time]")?.getAttribute("datetime") ?? null,
    };
  });
}

/** The moment shown beside the picture, in epoch milliseconds. */
export async function shownMs(page) {
  const text = await page
    .locator("[data-picture-time]")
    .getAttribute("datetime", { timeout: 15_000 });
  return Date.parse(text);
}

/** Waits until pictures move: element time, decoded frames and pixels all advance. */
export async function untilPlaying(page, timeoutMs = 30_000) {
  const before = await until("a first picture", timeoutMs, async () => {
    const now = await picture(page);
    return now && now.shownAt && now.colours > 8 ? now : null;
  });
  return until("the picture to move", timeoutMs, async () => {
    const now = await picture(page);
    const moved =
      now &&
      now.currentTime > before.currentTime + 0.5 &&
      now.frames > before.frames + 5 &&
      now.hash !== before.hash;
    return moved ? { before, now } : null;
  });
}

/** Fails if the page can be scrolled sideways, and names what sticks out. */
export async function assertNoSidewaysScroll(page) {
  const found = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const over = document.documentElement.scrollWidth - width;
    if (over <= 0) return null;
    const wide = [...document.querySelectorAll("body *")].filter(
      (element) => element.getBoundingClientRect().right > width + 1,
    );
    return `${over} px too wide: ${wide.slice(0, 5).map((e) => `${e.tagName}.${e.className}`)}`;
  });
  assert.equal(found, null);
}
