//! A reader of flatbuffers in which every access is checked.
//!
//! There is no separate verification pass to trust: each read tests its own bounds, so truncated files and offsets that
//! point outside, at themselves or into each other yield [`OutOfBounds`] or plain numbers, never a wild access. Nothing
//! here recurses or loops over what the file says, so cycles cannot cost time. Values are assembled from bytes; neither
//! the file nor its parts need an alignment.
//!
//! Format: <https://flatbuffers.dev/internals/>.

/// A read at this byte offset would leave the file, or an offset stored there points outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds {
    /// Where in the file the reader stood.
    pub at: u32,
}

type Result<T> = core::result::Result<T, OutOfBounds>;

fn out_of_bounds<T>(at: usize) -> Result<T> {
    Err(OutOfBounds { at: u32::try_from(at).unwrap_or(u32::MAX) })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    match bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()) {
        Some(chunk) => Ok(*chunk),
        None => out_of_bounds(at),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// Follows the unsigned offset stored at `at`.
fn follow(bytes: &[u8], at: usize) -> Result<usize> {
    let target = at + u32_at(bytes, at)? as usize;
    if target < bytes.len() { Ok(target) } else { out_of_bounds(at) }
}

/// A table: fields by number, each of which may be absent.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    vtable_bytes: usize,
}

impl<'a> Table<'a> {
    /// The root table of a file. The caller has checked that positions in `bytes` fit in 32 bits.
    pub fn root(bytes: &'a [u8]) -> Result<Self> {
        Self::at(bytes, follow(bytes, 0)?)
    }

    /// The table that starts at byte `at`.
    pub fn at(bytes: &'a [u8], at: usize) -> Result<Self> {
        let back = i32::from_le_bytes(array(bytes, at)?);
        let Ok(vtable) = usize::try_from(at as i64 - i64::from(back)) else { return out_of_bounds(at) };
        let vtable_bytes = u16_at(bytes, vtable)? as usize;
        if vtable_bytes < 4 || vtable + vtable_bytes > bytes.len() {
            return out_of_bounds(vtable);
        }
        Ok(Table { bytes, at, vtable, vtable_bytes })
    }

    /// Where the table starts in the file.
    pub fn position(&self) -> u32 {
        self.at as u32
    }

    /// Where field `number` lies, if it is present.
    fn field(&self, number: usize) -> Result<Option<usize>> {
        let slot = 4 + 2 * number;
        if slot + 2 > self.vtable_bytes {
            return Ok(None);
        }
        match u16_at(self.bytes, self.vtable + slot)? {
            0 => Ok(None),
            offset => Ok(Some(self.at + offset as usize)),
        }
    }

    fn scalar<const N: usize>(&self, number: usize) -> Result<Option<[u8; N]>> {
        match self.field(number)? {
            Some(at) => array(self.bytes, at).map(Some),
            None => Ok(None),
        }
    }

    /// An 8-bit field.
    pub fn u8(&self, number: usize, default: u8) -> Result<u8> {
        Ok(self.scalar::<1>(number)?.map_or(default, |[byte]| byte))
    }

    /// A 32-bit signed field.
    pub fn i32(&self, number: usize, default: i32) -> Result<i32> {
        Ok(self.scalar(number)?.map_or(default, i32::from_le_bytes))
    }

    /// A 32-bit unsigned field.
    pub fn u32(&self, number: usize, default: u32) -> Result<u32> {
        Ok(self.scalar(number)?.map_or(default, u32::from_le_bytes))
    }

    /// A 64-bit unsigned field.
    pub fn u64(&self, number: usize, default: u64) -> Result<u64> {
        Ok(self.scalar(number)?.map_or(default, u64::from_le_bytes))
    }

    /// A floating-point field.
    pub fn f32(&self, number: usize, default: f32) -> Result<f32> {
        Ok(self.scalar(number)?.map_or(default, f32::from_le_bytes))
    }

    /// A field that is a table.
    pub fn table(&self, number: usize) -> Result<Option<Table<'a>>> {
        match self.field(number)? {
            Some(at) => Table::at(self.bytes, follow(self.bytes, at)?).map(Some),
            None => Ok(None),
        }
    }

    /// A field that is a vector of elements of `N` bytes (4 for tables); an absent one is an empty one.
    pub fn vector<const N: usize>(&self, number: usize) -> Result<Vector<'a, N>> {
        match self.field(number)? {
            Some(at) => Vector::at(self.bytes, follow(self.bytes, at)?),
            None => Ok(Vector { bytes: self.bytes, at: 0, len: 0 }),
        }
    }
}

/// A vector of elements of `N` bytes that lies wholly inside the file.
#[derive(Clone, Copy, Debug)]
pub struct Vector<'a, const N: usize> {
    bytes: &'a [u8],
    at: usize,
    len: usize,
}

impl<'a, const N: usize> Vector<'a, N> {
    /// The vector whose length word lies at byte `at`.
    pub fn at(bytes: &'a [u8], at: usize) -> Result<Self> {
        let len = u32_at(bytes, at)? as usize;
        let start = at + 4;
        match len.checked_mul(N).and_then(|size| size.checked_add(start)) {
            Some(end) if end <= bytes.len() => Ok(Vector { bytes, at: start, len }),
            _ => out_of_bounds(at),
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where the first element lies in the file.
    pub fn position(&self) -> u32 {
        self.at as u32
    }

    /// The raw bytes of all elements.
    pub fn raw(&self) -> &'a [u8] {
        &self.bytes[self.at..self.at + self.len * N]
    }

    fn element(&self, index: usize) -> Result<usize> {
        if index < self.len { Ok(self.at + index * N) } else { out_of_bounds(self.at) }
    }
}

impl<'a> Vector<'a, 4> {
    /// Element `index` as a signed number.
    pub fn i32(&self, index: usize) -> Result<i32> {
        self.element(index).and_then(|at| array(self.bytes, at)).map(i32::from_le_bytes)
    }

    /// Element `index` as a floating-point number.
    pub fn f32(&self, index: usize) -> Result<f32> {
        self.element(index).and_then(|at| array(self.bytes, at)).map(f32::from_le_bytes)
    }

    /// Element `index` as a table.
    pub fn table(&self, index: usize) -> Result<Table<'a>> {
        Table::at(self.bytes, follow(self.bytes, self.element(index)?)?)
    }
}

impl Vector<'_, 8> {
    /// Element `index` as a signed number.
    pub fn i64(&self, index: usize) -> Result<i64> {
        self.element(index).and_then(|at| array(self.bytes, at)).map(i64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root table at 12 with one field (number 0) that refers to a vector of two numbers at 20.
    fn sample() -> Vec<u8> {
        let mut bytes = vec![0; 32];
        bytes[0..4].copy_from_slice(&12u32.to_le_bytes());
        bytes[4..6].copy_from_slice(&6u16.to_le_bytes()); // the vtable: its size,
        bytes[6..8].copy_from_slice(&8u16.to_le_bytes()); // the table's size,
        bytes[8..10].copy_from_slice(&4u16.to_le_bytes()); // and where field 0 lies
        bytes[12..16].copy_from_slice(&8i32.to_le_bytes());
        bytes[16..20].copy_from_slice(&4u32.to_le_bytes());
        bytes[20..24].copy_from_slice(&2u32.to_le_bytes());
        bytes[24..28].copy_from_slice(&7u32.to_le_bytes());
        bytes[28..32].copy_from_slice(&(-9i32).to_le_bytes());
        bytes
    }

    #[test]
    fn reads_fields_and_vectors() {
        let bytes = sample();
        let root = Table::root(&bytes).unwrap();
        let numbers = root.vector::<4>(0).unwrap();
        assert_eq!((numbers.len(), numbers.i32(0), numbers.i32(1)), (2, Ok(7), Ok(-9)));
        assert!(numbers.i32(2).is_err());
        assert_eq!(root.i32(1, 5), Ok(5));
        assert_eq!(root.vector::<4>(9).unwrap().len(), 0);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = sample();
        for cut in 0..bytes.len() {
            let result = Table::root(&bytes[..cut]).and_then(|root| root.vector::<4>(0));
            assert!(result.is_err(), "{cut} bytes");
        }
    }

    #[test]
    fn wild_offsets_are_errors() {
        for (at, value) in [(0, u32::MAX), (12, i32::MIN as u32), (12, i32::MAX as u32), (16, u32::MAX), (20, u32::MAX)]
        {
            let mut bytes = sample();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let result = Table::root(&bytes).and_then(|root| root.vector::<4>(0));
            assert!(result.is_err(), "{value:#x} at {at}");
        }
    }
}
