//! Where in the document the reader is: the open elements and their ends.
//!
//! It knows which elements hold others and how an element of unknown size ends, and no content.

use super::ebml::{Header, Size};
use super::id::Id;

/// The innermost open element.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    #[default]
    Root,
    Segment,
    Cluster,
    BlockGroup,
}

/// Where an open element begins, and where it ends if its size is known.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) end: Option<u64>,
}

/// The open elements. Those deeper than `level` are of the past.
#[derive(Debug, Default)]
pub(super) struct Place {
    level: Level,
    segment: Extent,
    cluster: Extent,
    group: Extent,
}

impl Place {
    #[inline]
    pub(super) const fn level(&self) -> Level {
        self.level
    }

    pub(super) fn enter_segment(&mut self, extent: Extent) {
        self.segment = extent;
        self.level = Level::Segment;
    }

    pub(super) fn enter_cluster(&mut self, extent: Extent) {
        self.cluster = extent;
        self.level = Level::Cluster;
    }

    pub(super) fn enter_group(&mut self, extent: Extent) {
        self.group = extent;
        self.level = Level::BlockGroup;
    }

    /// Leaves a BlockGroup that ends at `position` and says whether one did.
    #[inline]
    pub(super) fn leave_group(&mut self, position: u64) -> bool {
        let ends = self.level == Level::BlockGroup && self.group.end == Some(position);
        if ends {
            self.level = Level::Cluster;
        }
        ends
    }

    /// Leaves the Cluster and the Segment if they end at `position`. A Cluster of unknown size in
    /// a Segment of known size ends with it.
    #[inline]
    pub(super) fn leave_complete(&mut self, position: u64) {
        let here = Some(position);
        if self.level == Level::Cluster
            && (self.cluster.end == here || self.cluster.end.is_none() && self.segment.end == here)
        {
            self.level = Level::Segment;
        }
        if self.level == Level::Segment && self.segment.end == here {
            self.level = Level::Root;
        }
    }

    /// Leaves the elements of unknown size that `id` cannot be in (RFC 8794 §6.2).
    #[inline]
    pub(super) fn leave_for(&mut self, id: Id) {
        if self.level == Level::Cluster && self.cluster.end.is_none() && (id.is_top_level() || id.is_root()) {
            self.level = Level::Segment;
        }
        if self.level == Level::Segment && self.segment.end.is_none() && id.is_root() {
            self.level = Level::Root;
        }
    }

    /// Where an element ends whose header has just been read up to `position`, if its size is
    /// known; or what is wrong with its size.
    #[inline]
    pub(super) fn end_of(&self, header: Header, position: u64) -> Result<Option<u64>, String> {
        let id = header.id;
        let Size::Known(size) = header.size else {
            return match id {
                Id::SEGMENT | Id::CLUSTER => Ok(None),
                _ => Err(format!("the {id} has an unknown size, which only a Segment or a Cluster may have")),
            };
        };
        let Some(end) = position.checked_add(size) else {
            return Err(format!("the {id} of {size} bytes ends beyond 64 bits"));
        };
        match self.enclosing_end() {
            Some((parent, limit)) if end > limit => Err(format!(
                "the {id} of {size} bytes ends {} bytes beyond the {parent} around it",
                end - limit
            )),
            _ => Ok(Some(end)),
        }
    }

    /// The innermost open element of known size, and its end.
    #[inline]
    fn enclosing_end(&self) -> Option<(Id, u64)> {
        let segment = self.segment.end.map(|end| (Id::SEGMENT, end));
        match self.level {
            Level::Root => None,
            Level::Segment => segment,
            Level::Cluster => self.cluster.end.map(|end| (Id::CLUSTER, end)).or(segment),
            Level::BlockGroup => self.group.end.map(|end| (Id::BLOCK_GROUP, end)),
        }
    }

    /// The innermost open element that has not ended: its ID, beginning and end.
    pub(super) fn unfinished(&self) -> Option<(Id, u64, u64)> {
        [
            (Level::BlockGroup, self.group, Id::BLOCK_GROUP),
            (Level::Cluster, self.cluster, Id::CLUSTER),
            (Level::Segment, self.segment, Id::SEGMENT),
        ]
        .into_iter()
        .filter(|(level, ..)| self.level >= *level)
        .find_map(|(_, extent, id)| Some((id, extent.start, extent.end?)))
    }

    /// The innermost open element in words, for errors.
    pub(super) fn name(&self) -> String {
        match self.level {
            Level::Root => "at the top of the document".to_owned(),
            Level::Segment => format!("in the {}", Id::SEGMENT),
            Level::Cluster => format!("in a {}", Id::CLUSTER),
            Level::BlockGroup => format!("in a {}", Id::BLOCK_GROUP),
        }
    }
}
