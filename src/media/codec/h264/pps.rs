//! The H.264 picture parameter set, as far as every player must be able to read it
//! (ITU-T H.264 §7.3.2.2).
//!
//! Slice groups and scaling lists are not looked into.

use crate::codec::bits::Bits;
use crate::codec::configured::Invalid;
use crate::codec::nal;

/// The ids that tie a picture parameter set to its sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pps {
    pub(crate) id: u8,
    pub(crate) sps_id: u8,
}

impl Pps {
    /// Reads a whole NAL unit of type 8.
    pub(crate) fn read(unit: &[u8]) -> Result<Self, Invalid> {
        let payload: Vec<u8> = nal::unescaped(unit.get(1..).unwrap_or_default()).collect();
        let mut bits = Bits::new(&payload);
        let id = bits.ue_up_to(255, "pic_parameter_set_id")?;
        let sps_id = bits.ue_up_to(31, "seq_parameter_set_id")?;
        bits.skip(2, "entropy_coding_mode_flag")?;
        if bits.ue_up_to(7, "num_slice_groups_minus1")? == 0 {
            bits.ue_up_to(31, "num_ref_idx_l0_default_active_minus1")?;
            bits.ue_up_to(31, "num_ref_idx_l1_default_active_minus1")?;
            bits.skip(3, "weighted_pred_flag")?;
            bits.se("pic_init_qp_minus26")?;
            bits.se("pic_init_qs_minus26")?;
            bits.se("chroma_qp_index_offset")?;
            bits.skip(3, "deblocking_filter_control_present_flag")?;
        }
        Ok(Self { id: u8::try_from(id).unwrap_or(u8::MAX), sps_id: u8::try_from(sps_id).unwrap_or(u8::MAX) })
    }
}
