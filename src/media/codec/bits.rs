//! Bits out of bytes, most significant first, every read naming the field it is for.
//!
//! It does not know any codec, and it never reads past its end: it says which field is cut off.

use super::configured::Invalid;

/// A cursor over the bits of `bytes`.
#[derive(Debug, Clone)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    position_bits: usize,
}

impl<'a> Bits<'a> {
    /// A cursor at the first bit.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position_bits: 0 }
    }

    /// Bits not yet read.
    pub(crate) const fn left_bits(&self) -> usize {
        self.bytes.len().saturating_mul(8).saturating_sub(self.position_bits)
    }

    /// The next bit.
    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, Invalid> {
        let byte = self.bytes.get(self.position_bits / 8).ok_or_else(|| Invalid::ends_inside(field))?;
        let shift = 7 - self.position_bits % 8;
        self.position_bits += 1;
        Ok(byte >> shift & 1 == 1)
    }

    /// The next `count` bits, at most 32, as a number.
    pub(crate) fn number(&mut self, count: u32, field: &'static str) -> Result<u32, Invalid> {
        if self.left_bits() < count as usize {
            return Err(Invalid::ends_inside(field));
        }
        let mut value = 0_u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag(field)?);
        }
        Ok(value)
    }

    /// The next `count` bits, at most 8.
    pub(crate) fn byte(&mut self, count: u32, field: &'static str) -> Result<u8, Invalid> {
        Ok(u8::try_from(self.number(count, field)? & 0xff).unwrap_or(u8::MAX))
    }

    /// Passes over `count` bits.
    pub(crate) fn skip(&mut self, count: usize, field: &'static str) -> Result<(), Invalid> {
        if self.left_bits() < count {
            return Err(Invalid::ends_inside(field));
        }
        self.position_bits += count;
        Ok(())
    }

    /// An unsigned Exp-Golomb code (ITU-T H.264 §9.1).
    pub(crate) fn ue(&mut self, field: &'static str) -> Result<u32, Invalid> {
        let mut zeros = 0;
        while !self.flag(field)? {
            zeros += 1;
            if zeros > 31 {
                return Err(Invalid::new(format!("{field} is an Exp-Golomb code of more than 32 bits")));
            }
        }
        // At most 2^31 - 1 + 2^31 - 1: it fits.
        Ok((1_u32 << zeros) - 1 + self.number(zeros, field)?)
    }

    /// An unsigned Exp-Golomb code that must not exceed `max`.
    pub(crate) fn ue_up_to(&mut self, max: u32, field: &'static str) -> Result<u32, Invalid> {
        let value = self.ue(field)?;
        if value > max {
            return Err(Invalid::new(format!("{field} is {value}, the largest legal value is {max}")));
        }
        Ok(value)
    }

    /// A signed Exp-Golomb code (ITU-T H.264 §9.1.1).
    pub(crate) fn se(&mut self, field: &'static str) -> Result<i32, Invalid> {
        let code = i64::from(self.ue(field)?);
        let magnitude = (code + 1) / 2;
        let value = if code % 2 == 1 { magnitude } else { -magnitude };
        i32::try_from(value).map_err(|_| Invalid::new(format!("{field} does not fit 32 bits")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_code_table_of_the_specification() {
        // ITU-T H.264 table 9-2: 1, 010, 011, 00100, 00101 are 0, 1, 2, 3, 4.
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits::new(&bytes);
        let codes: Vec<u32> = (0..5).map(|_| bits.ue("code").unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        // Table 9-3: 0, 1, -1, 2, -2.
        let mut bits = Bits::new(&bytes);
        let codes: Vec<i32> = (0..5).map(|_| bits.se("code").unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn names_the_field_that_is_cut_off() {
        let mut bits = Bits::new(&[0b0000_0001]);
        assert!(bits.ue("level").unwrap_err().to_string().contains("level"));
        assert!(Bits::new(&[1, 2]).number(17, "width").unwrap_err().to_string().contains("width"));
        assert!(Bits::new(&[0; 8]).ue("size").unwrap_err().to_string().contains("32 bits"));
    }
}
