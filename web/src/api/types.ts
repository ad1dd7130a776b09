/**
 * The server's JSON, as it is on the wire. The only file that names the shapes; when
 * `schema.d.ts` has been generated (`npm run api`), these become aliases of its schemas and nothing
 * else in the app changes.
 */

/** RFC 3339 in UTC with milliseconds. */
export type Timestamp = string;

export interface TimeRange {
  start: Timestamp;
  end: Timestamp;
}

/** `live`: a producer is connected and media arrived in the last seconds. */
export type StreamActivity = "live" | "offline" | "empty";

export interface Track {
  number: number;
  kind: "video" | "audio" | "data";
  codec: string;
  codec_string: string | null;
  width?: number | null;
  height?: number | null;
  frame_rate?: number | null;
  sample_rate?: number | null;
  channels?: number | null;
  language: string;
  name: string;
  /** Whether HLS carries the track; if not, `hls_note` says why. */
  hls: boolean;
  hls_note: string | null;
}

export interface Stream {
  name: string;
  created_at: Timestamp;
  state: StreamActivity;
  last_received_at: Timestamp | null;
  /** Why no media arrives; null while it does, and before there was any. */
  absence: Absence | null;
  /** Producer time. */
  range: TimeRange | null;
  /** `first` and `last` are null for a stream without fragments. */
  fragments: { first: number | null; last: number | null; count: number; bytes: number };
  bitrate_kbps: number | null;
  /** The connected producer's clock against the server's. */
  clock: Clock | null;
  retention: Retention;
  tracks: Track[];
}

export type LimitValue = number | "unlimited";

/** What a stream keeps. Its own limits are null where the server's hold. */
export interface Retention {
  max_age_s: LimitValue | null;
  max_bytes: LimitValue | null;
  effective_max_age_s: number | null;
  effective_max_bytes: number | null;
  /** Fragments below this number have expired, but for those that a pin holds. */
  floor: number;
  /** At the present bitrate; null: never. */
  next_expiry: Expiry | null;
  /** Why nothing expires, if nothing does. */
  suspended?: string | null;
}

export interface Expiry {
  at: Timestamp;
  limit: "age" | "bytes";
}

/** A stretch of time that is kept whatever the limits say. */
export interface Pin extends TimeRange {
  name: string;
  by: string;
  reason: string;
  fragments: number;
  bytes: number;
}

export interface PinList {
  pins: Pin[];
}

/** How much room there is. Null is unknown, or no limit. */
export interface Storage {
  /** `low`: the oldest recordings are being deleted; `full`: nothing is recorded. */
  state: "ample" | "low" | "full";
  disk_bytes: number | null;
  free_bytes: number | null;
  keep_free_bytes: number;
  used_bytes: number;
  max_total_bytes: number | null;
  default_max_age_s: number | null;
  default_max_bytes: number | null;
  bytes_per_second: number;
  forecast: {
    full_at: Timestamp | null;
    limit: "disk" | "total" | null;
    next_stream: string | null;
    next_recorded_at: Timestamp | null;
  };
}

export interface Clock {
  /** Producer time less the server's. */
  offset_ms: number;
  /** Null before a minute was measured, and if media is not sent as it is filmed. */
  drift_ppm: number | null;
  measured_s: number;
}

/** Why media is absent; `gaps/cause.ts` has the words. */
export type Cause =
  | "producer_stopped"
  | "connection_lost"
  | "stall"
  | "input_refused"
  | "replaced"
  | "server_down"
  | "disk_refused"
  | "clock_step"
  | "expired"
  | "damaged"
  | "unknown";

export interface Absence {
  since: Timestamp;
  cause: Cause;
  detail: string | null;
}

/** `end` is null while media has not gone on. */
export interface GapInfo {
  start: Timestamp;
  end: Timestamp | null;
  cause: Cause;
  detail: string | null;
  noticed_at: Timestamp | null;
}

export interface GapList {
  gaps: GapInfo[];
  next_token: string | null;
}

export interface StreamList {
  streams: Stream[];
  next_token: string | null;
}

export interface Fragment {
  number: number;
  producer_time: Timestamp;
  server_time: Timestamp;
  duration_ms: number;
  bytes: number;
  tracks: number[];
  tags: Record<string, string>;
  key_frame_start: boolean;
  state: "buffered" | "persisted";
  discontinuity: boolean;
  partial: boolean;
}

export interface FragmentList {
  fragments: Fragment[];
  next_token: string | null;
}

export interface Run extends TimeRange {
  fragments: number;
  bytes: number;
}

/** Both bounds are null for a stream without fragments. */
export interface Timeline {
  start: Timestamp | null;
  end: Timestamp | null;
  runs: Run[];
  gaps: GapInfo[];
  /** Gaps no longer than a bucket, which are left out. */
  hidden_gaps: number;
  /** Null, and no bytes, without `resolution`. */
  bucket_ms: number | null;
  bucket_bytes: number[];
}

export interface ErrorBody {
  error: { code: string; message: string; hint?: string | null };
}
