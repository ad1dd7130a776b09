import { expect, it } from "vitest";
import type { Track } from "../api/types";
import { playable, undecodable } from "./codecs";

const track = (over: Partial<Track>): Track => ({
  number: 1,
  kind: "video",
  codec: "H.264",
  codec_string: "avc1.64001f",
  language: "",
  name: "",
  hls: true,
  hls_note: null,
  ...over,
});
const h264 = track({});
const hevc = track({ number: 2, codec: "H.265", codec_string: "hvc1.1.6.L93.B0" });
const aac = track({ number: 3, kind: "audio", codec: "AAC", codec_string: "mp4a.40.2" });
const pcm = track({ number: 4, kind: "audio", codec: "PCM", codec_string: null, hls: false });
const data = track({ number: 5, kind: "data", codec: "unknown", codec_string: null, hls: false });
const noHevc = (type: string) => !type.includes("hvc1");

it("names what HLS carries and the browser lacks", () => {
  expect(undecodable([h264, hevc, aac, pcm, data], noHevc)).toEqual([hevc]);
});

it("asks with the container of the track's kind", () => {
  const asked: string[] = [];
  undecodable([h264, aac], (type) => asked.push(type) > 0);
  expect(asked).toEqual(['video/mp4; codecs="avc1.64001f"', 'audio/mp4; codecs="mp4a.40.2"']);
});

it("knows when nothing is left to play", () => {
  expect(playable([hevc, aac], noHevc)).toBe(true);
  expect(playable([hevc, pcm, data], noHevc)).toBe(false);
  expect(playable([pcm, data], noHevc)).toBe(false);
  expect(playable([], noHevc)).toBe(false);
});
