import { expect, it } from "vitest";
import type { Track } from "./types";
import { mainVideo, particulars, resolution } from "./track";

const base = {
  number: 1,
  codec: "",
  codec_string: null,
  language: "",
  name: "",
  hls: true,
  hls_note: null,
};
const video: Track = { ...base, kind: "video", width: 1280, height: 720, frame_rate: 29.97 };
const audio: Track = { ...base, kind: "audio", sample_rate: 44_100, channels: 2 };

it("describes video and audio by what is known", () => {
  expect(particulars(video)).toBe("1280\u2009×\u2009720 · 29.97 fps");
  expect(particulars({ ...video, frame_rate: null })).toBe("1280\u2009×\u2009720");
  expect(particulars({ ...video, width: null })).toBe("29.97 fps");
  expect(resolution({ ...video, height: null })).toBeNull();
  expect(particulars(audio)).toBe("44.1 kHz · stereo");
  expect(particulars({ ...audio, channels: 1, sample_rate: null })).toBe("mono");
  expect(particulars({ ...audio, channels: 6 })).toBe("44.1 kHz · 6 channels");
  expect(particulars({ ...base, kind: "data" })).toBe("");
});

it("finds the video track wherever it stands", () => {
  expect(mainVideo([audio, video])).toBe(video);
  expect(mainVideo([audio])).toBeNull();
});
