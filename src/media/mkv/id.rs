//! The Matroska element IDs that we read, write or name in errors (RFC 9559 §5, RFC 8794 §11).
//!
//! It knows names and which elements stand directly below the Segment, nothing of their content.

use std::fmt;

/// An element ID with its length marker, as in the specification's tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) u32);

macro_rules! ids {
    ($($name:ident = $value:literal $text:literal),* $(,)?) => {
        impl Id {
            $(pub(super) const $name: Self = Self($value);)*

            /// The element's name in the specification.
            const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

ids! {
    EBML = 0x1A45_DFA3 "EBML header",
    EBML_VERSION = 0x4286 "EBMLVersion",
    EBML_READ_VERSION = 0x42F7 "EBMLReadVersion",
    EBML_MAX_ID_LENGTH = 0x42F2 "EBMLMaxIDLength",
    EBML_MAX_SIZE_LENGTH = 0x42F3 "EBMLMaxSizeLength",
    DOC_TYPE = 0x4282 "DocType",
    DOC_TYPE_VERSION = 0x4287 "DocTypeVersion",
    DOC_TYPE_READ_VERSION = 0x4285 "DocTypeReadVersion",
    VOID = 0xEC "Void",
    CRC32 = 0xBF "CRC-32",

    SEGMENT = 0x1853_8067 "Segment",
    SEEK_HEAD = 0x114D_9B74 "SeekHead",
    INFO = 0x1549_A966 "Info",
    TRACKS = 0x1654_AE6B "Tracks",
    CHAPTERS = 0x1043_A770 "Chapters",
    CLUSTER = 0x1F43_B675 "Cluster",
    CUES = 0x1C53_BB6B "Cues",
    ATTACHMENTS = 0x1941_A469 "Attachments",
    TAGS = 0x1254_C367 "Tags",

    TIMESTAMP_SCALE = 0x2A_D7B1 "TimestampScale",
    DURATION = 0x4489 "Duration",
    MUXING_APP = 0x4D80 "MuxingApp",
    WRITING_APP = 0x5741 "WritingApp",

    TIMESTAMP = 0xE7 "Timestamp",
    SIMPLE_BLOCK = 0xA3 "SimpleBlock",
    BLOCK_GROUP = 0xA0 "BlockGroup",
    BLOCK = 0xA1 "Block",
    BLOCK_DURATION = 0x9B "BlockDuration",
    REFERENCE_BLOCK = 0xFB "ReferenceBlock",
    ENCRYPTED_BLOCK = 0xAF "EncryptedBlock",

    TRACK_ENTRY = 0xAE "TrackEntry",
    TRACK_NUMBER = 0xD7 "TrackNumber",
    TRACK_UID = 0x73C5 "TrackUID",
    TRACK_TYPE = 0x83 "TrackType",
    FLAG_LACING = 0x9C "FlagLacing",
    DEFAULT_DURATION = 0x23_E383 "DefaultDuration",
    TRACK_TIMESTAMP_SCALE = 0x23_314F "TrackTimestampScale",
    NAME = 0x536E "Name",
    LANGUAGE = 0x22_B59C "Language",
    LANGUAGE_BCP47 = 0x22_B59D "LanguageBCP47",
    CODEC_ID = 0x86 "CodecID",
    CODEC_PRIVATE = 0x63A2 "CodecPrivate",
    CODEC_DELAY = 0x56AA "CodecDelay",
    SEEK_PRE_ROLL = 0x56BB "SeekPreRoll",
    VIDEO = 0xE0 "Video",
    PIXEL_WIDTH = 0xB0 "PixelWidth",
    PIXEL_HEIGHT = 0xBA "PixelHeight",
    PIXEL_CROP_BOTTOM = 0x54AA "PixelCropBottom",
    PIXEL_CROP_TOP = 0x54BB "PixelCropTop",
    PIXEL_CROP_LEFT = 0x54CC "PixelCropLeft",
    PIXEL_CROP_RIGHT = 0x54DD "PixelCropRight",
    AUDIO = 0xE1 "Audio",
    SAMPLING_FREQUENCY = 0xB5 "SamplingFrequency",
    OUTPUT_SAMPLING_FREQUENCY = 0x78B5 "OutputSamplingFrequency",
    CHANNELS = 0x9F "Channels",
    BIT_DEPTH = 0x6264 "BitDepth",
    CONTENT_ENCODINGS = 0x6D80 "ContentEncodings",
    CONTENT_ENCODING = 0x6240 "ContentEncoding",
    CONTENT_ENCODING_ORDER = 0x5031 "ContentEncodingOrder",
    CONTENT_ENCODING_SCOPE = 0x5032 "ContentEncodingScope",
    CONTENT_ENCODING_TYPE = 0x5033 "ContentEncodingType",
    CONTENT_COMPRESSION = 0x5034 "ContentCompression",
    CONTENT_COMP_ALGO = 0x4254 "ContentCompAlgo",
    CONTENT_COMP_SETTINGS = 0x4255 "ContentCompSettings",
    CONTENT_ENCRYPTION = 0x5035 "ContentEncryption",

    TAG = 0x7373 "Tag",
    TARGETS = 0x63C0 "Targets",
    TAG_TRACK_UID = 0x63C5 "TagTrackUID",
    TAG_EDITION_UID = 0x63C9 "TagEditionUID",
    TAG_CHAPTER_UID = 0x63C4 "TagChapterUID",
    TAG_ATTACHMENT_UID = 0x63C6 "TagAttachmentUID",
    SIMPLE_TAG = 0x67C8 "SimpleTag",
    TAG_NAME = 0x45A3 "TagName",
    TAG_STRING = 0x4487 "TagString",
    TAG_BINARY = 0x4485 "TagBinary",
}

impl Id {
    /// Whether the element stands directly below the Segment, so that it ends a Cluster of
    /// unknown size (RFC 8794 §6.2).
    pub(super) const fn is_top_level(self) -> bool {
        matches!(
            self,
            Self::SEEK_HEAD
                | Self::INFO
                | Self::TRACKS
                | Self::CHAPTERS
                | Self::CLUSTER
                | Self::CUES
                | Self::ATTACHMENTS
                | Self::TAGS
        )
    }

    /// Whether the element begins a new document, or a new Segment of one.
    pub(super) const fn is_root(self) -> bool {
        matches!(self, Self::EBML | Self::SEGMENT)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:X})", self.0),
            None => write!(f, "element 0x{:X}", self.0),
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
