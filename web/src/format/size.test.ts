import { expect, it } from "vitest";
import { bitrate, bytes, count, frameRate, sampleRate } from "./size";

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [999_499, "999 kB"],
  [999_500, "1.0 MB"],
  [512_345, "512 kB"],
  [9_949_000, "9.9 MB"],
  [9_960_000, "10 MB"],
  [14_200_000_000, "14 GB"],
  [3e18, "3000 PB"],
])("%d bytes read %s", (value, text) => expect(bytes(value)).toBe(text));

it.each([
  [0, "0 kbit/s"],
  [812.4, "812 kbit/s"],
  [2010.5, "2.0 Mbit/s"],
  [14_230, "14.2 Mbit/s"],
])("%d kbit/s read %s", (value, text) => expect(bitrate(value)).toBe(text));

it("shows a fraction of a rate only where there is one", () => {
  expect(frameRate(30)).toBe("30");
  expect(frameRate(30_000 / 1001)).toBe("29.97");
  expect(frameRate(12.5)).toBe("12.5");
  expect(sampleRate(48_000)).toBe("48 kHz");
  expect(sampleRate(44_100)).toBe("44.1 kHz");
});

it("groups thousands with a narrow space that does not break", () => {
  expect(count(7)).toBe("7");
  expect(count(1_234)).toBe("1\u202f234");
  expect(count(12_345_678)).toBe("12\u202f345\u202f678");
});
