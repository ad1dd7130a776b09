//! Media that others made, in `../shared/media` beside the repository. Where the folder is absent
//! the checks are left out and say so.

use super::*;

fn folder() -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media");
    if !folder.is_dir() {
        println!("skipped: there is no {}", folder.display());
        return None;
    }
    Some(folder)
}

#[test]
fn sound_files_agree_with_ffprobe() {
    let Some(folder) = folder() else { return };
    for name in [
        "producer-sdk/kvssink-h264-aac.mkv",
        "producer-sdk/kvssink-h264.mkv",
        "producer-sdk/kvssink-h265.mkv",
        "producer-sdk/producer-c-h264-metadata.mkv",
        "kvs-parser/clusters.mkv",
        "kvs-parser/output_get_media.mkv",
        "libwebm/bbb_480p_vp9_opus_1second.webm",
        "mediamtx/emptyvideoaudio.mkv",
        "mediamtx/offline_av1.mp4",
        "mediamtx/offline_h264.mp4",
        "mediamtx/offline_h265.mp4",
        "mediamtx/offline_vp9.mp4",
    ] {
        check(&folder.join(name));
    }
}

#[test]
fn files_with_their_header_last_agree_once_they_are_fragmented() {
    let Some(folder) = folder() else { return };
    for name in [
        "mp4ff/h264.mp4",
        "mp4ff/hevc.mp4",
        "mp4parse/h264_white_frame_sar_16_9.mp4",
        "mp4parse/hevc_white_frame.mp4",
        "mp4parse/tiny_av1.mp4",
    ] {
        let flat = name.replace('/', "-");
        let fragments = ["-movflags", "frag_keyframe+empty_moov+default_base_moof"];
        check(&copied(&format!("codec-shared-{flat}"), &folder.join(name), &fragments));
    }
}

#[test]
fn frames_that_are_no_frames_are_left_out() {
    let Some(folder) = folder() else { return };
    // libwebm's own tests write bytes of one value as VP8.
    let output = demux_file(&folder.join("libwebm/simple_block.webm"));
    assert_eq!(output.samples, []);
    assert!(output.dropped.broken > 0);
}
