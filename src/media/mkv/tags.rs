//! The Tags element: names and values that travel beside the media.
//!
//! SimpleTags are flattened: a nested one's name is its parent's, a slash, and its own, as
//! `ARTIST/URL`. Binary values and tags that describe one track, edition, chapter or attachment
//! instead of the media as a whole are passed over. It knows no fragments.

use super::ebml::{Element, Elements};
use super::id::Id;
use super::limit::MAX_TAGS;
use crate::{Error, Fault, Tag};

/// The name of the tag by which a producer says that its fragment is complete.
pub const END_OF_FRAGMENT: &str = "AWS_KINESISVIDEO_END_OF_FRAGMENT";

/// What a Tags element holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tags {
    pub(super) tags: Vec<Tag>,
    pub(super) end_of_fragment: bool,
}

/// Reads a Tags element whose data begins at `start`.
pub(super) fn parse(data: &[u8], start: u64) -> Result<Tags, Error> {
    let mut found = Tags::default();
    for tag in Elements::new(Id::TAGS, data, start) {
        let tag = tag?;
        if tag.id != Id::TAG || is_narrow(&tag)? {
            continue;
        }
        for child in tag.children()? {
            let child = child?;
            if child.id == Id::SIMPLE_TAG {
                simple_tag(&child, "", &mut found)?;
            }
        }
    }
    Ok(found)
}

/// Whether the tag's Targets name something smaller than the Segment; the UID 0 means all.
fn is_narrow(tag: &Element<'_>) -> Result<bool, Error> {
    for child in tag.children()? {
        let child = child?;
        if child.id != Id::TARGETS {
            continue;
        }
        for target in child.children()? {
            let target = target?;
            let is_uid = matches!(
                target.id,
                Id::TAG_TRACK_UID | Id::TAG_EDITION_UID | Id::TAG_CHAPTER_UID | Id::TAG_ATTACHMENT_UID
            );
            if is_uid && target.uint()? != 0 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn simple_tag(tag: &Element<'_>, parent: &str, found: &mut Tags) -> Result<(), Error> {
    let mut name = parent.to_owned();
    let mut value = Some(String::new());
    for child in tag.children()? {
        let child = child?;
        match child.id {
            Id::TAG_NAME => {
                let own = child.text(Tag::MAX_NAME_BYTES)?;
                name = if parent.is_empty() { own } else { format!("{parent}/{own}") };
                if name.len() > Tag::MAX_NAME_BYTES {
                    let what = format!("makes a nested name longer than {} bytes", Tag::MAX_NAME_BYTES);
                    return Err(child.error(Fault::Limit, &what));
                }
            }
            Id::TAG_STRING => {
                let text = child.text(Tag::MAX_VALUE_BYTES).map_err(|error| {
                    error.with_hint("shorten the tag or leave it out (ffmpeg: -map_metadata -1)")
                })?;
                value = Some(text);
            }
            Id::TAG_BINARY => value = None,
            _ => {}
        }
    }
    if let Some(value) = value
        && !name.is_empty()
    {
        if name == END_OF_FRAGMENT {
            found.end_of_fragment = true;
        } else if found.tags.len() < MAX_TAGS {
            found.tags.push(Tag { name: name.clone(), value });
        } else {
            return Err(
                tag.error(Fault::Limit, &format!("is one of more than {MAX_TAGS} in one Tags element"))
            );
        }
    }
    // The children come last so that a name that follows its nested tags still prefixes them.
    for child in tag.children()? {
        let child = child?;
        if child.id == Id::SIMPLE_TAG {
            simple_tag(&child, &name, found)?;
        }
    }
    Ok(())
}
