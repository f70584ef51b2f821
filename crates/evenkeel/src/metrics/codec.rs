//! Buckets of one series, one after another, as few bytes.
//!
//! A bucket that follows the last one by a step and has one value costs 1 byte and what of the value is new: nothing where it
//! is the same, a varint for whole numbers, 2 to 9 bytes for others. Nothing that is read may panic, or cost more than a small
//! multiple of its own size: what cannot be read ends the reading. Next: [`super::block`] and [`super::head`], which add
//! checksums.

use super::bucket::{Bucket, Spread};
use super::sketch::{MOST_BINS, Sketch};

/// A point in time, in steps of a tier since the epoch.
pub(super) type Slot = i64;

/// What both sides know from the bucket before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State {
    slot: Slot,
    value: f64,
}

/// The kinds of buckets, in the lowest 3 bits of their first byte.
const ONE: u8 = 0;
const SAME: u8 = 1;
const UNKNOWN: u8 = 2;
const FEW: u8 = 3;
const BINS: u8 = 4;
/// It follows the last one by a step: no time is written.
const NEXT: u8 = 1 << 3;
/// The forms of the value of the first two kinds, in bits 4 and 5.
const AGAIN: u8 = 0;
const WHOLE: u8 = 1 << 4;
const TRIMMED: u8 = 2 << 4;
const FORMS: u8 = 3 << 4;

/// Up to here whole numbers are exact, and so are their differences.
const EXACT: f64 = 9_007_199_254_740_992.0;

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn whole(value: f64) -> Option<i64> {
    // The sign of a zero would be lost.
    let is_whole = value.fract() == 0.0 && value.abs() <= EXACT && !(value == 0.0 && value.is_sign_negative());
    is_whole.then_some(value as i64)
}

/// A number on its own: whole ones are varints of which the lowest bit is 0, others 9 bytes.
fn put_number(out: &mut Vec<u8>, value: f64) {
    match whole(value) {
        Some(value) => put_varint(out, zigzag(value) << 1),
        None => {
            out.push(1);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

fn take_number(from: &mut &[u8]) -> Option<f64> {
    let first = take_varint(from)?;
    if first & 1 == 0 {
        return Some(unzigzag(first >> 1) as f64);
    }
    let (bytes, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(f64::from_le_bytes(*bytes))
}

/// Writes a bucket.
pub(super) fn put(out: &mut Vec<u8>, state: &mut State, slot: Slot, bucket: &Bucket) {
    let kind = match &bucket.spread {
        Spread::Even if bucket.count == 1.0 && bucket.sum == bucket.min => ONE,
        Spread::Even if bucket.sum == bucket.min * bucket.count => SAME,
        Spread::Even | Spread::Unknown => UNKNOWN,
        Spread::Few(_) => FEW,
        Spread::Sketch(_) => BINS,
    };
    let delta = slot.wrapping_sub(state.slot);
    let is_plain = matches!(kind, ONE | SAME);
    let form = match (is_plain, whole(bucket.min), whole(state.value)) {
        (false, ..) => AGAIN,
        _ if bucket.min.to_bits() == state.value.to_bits() => AGAIN,
        (true, Some(_), Some(_)) => WHOLE,
        _ => TRIMMED,
    };
    out.push(kind | form | if delta == 1 { NEXT } else { 0 });
    if delta != 1 {
        put_varint(out, zigzag(delta));
    }
    state.slot = slot;
    if is_plain {
        match form {
            WHOLE => put_varint(out, zigzag(bucket.min as i64 - state.value as i64)),
            TRIMMED => put_trimmed(out, bucket.min.to_bits() ^ state.value.to_bits()),
            _ => {}
        }
        state.value = bucket.min;
        if kind == SAME {
            put_number(out, bucket.count);
        }
        return;
    }
    for number in [bucket.count, bucket.sum, bucket.min, bucket.max] {
        put_number(out, number);
    }
    match &bucket.spread {
        Spread::Few(values) => {
            put_varint(out, values.len() as u64);
            for (value, count) in values {
                put_number(out, *value);
                put_number(out, *count);
            }
        }
        Spread::Sketch(sketch) => {
            let bins = sketch.bins();
            put_varint(out, bins.len() as u64);
            let mut last = 0;
            for (bin, count) in bins {
                put_varint(out, zigzag(i64::from(*bin) - last));
                put_number(out, *count);
                last = i64::from(*bin);
            }
        }
        Spread::Even | Spread::Unknown => {}
    }
}

/// What two values differ in: how many bytes of it are 0 at its low end and how many follow, and those.
fn put_trimmed(out: &mut Vec<u8>, bits: u64) {
    let low = (bits.trailing_zeros() / 8).min(7);
    let bytes = (bits >> (8 * low)).to_le_bytes();
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    out.push((low as u8) << 4 | length as u8);
    out.extend_from_slice(&bytes[..length]);
}

fn take_trimmed(from: &mut &[u8]) -> Option<u64> {
    let (head, rest) = from.split_first()?;
    let (low, length) = (u32::from(head >> 4), usize::from(head & 15));
    if low > 7 || length > 8 {
        return None;
    }
    let (significant, rest) = rest.split_at_checked(length)?;
    *from = rest;
    let mut bytes = [0; 8];
    bytes[..length].copy_from_slice(significant);
    Some(u64::from_le_bytes(bytes) << (8 * low))
}

/// Reads a bucket; `None` at the end, and where what follows is none.
pub(super) fn take(from: &mut &[u8], state: &mut State) -> Option<(Slot, Bucket)> {
    let (first, rest) = from.split_first()?;
    *from = rest;
    let delta = if first & NEXT != 0 { 1 } else { unzigzag(take_varint(from)?) };
    state.slot = state.slot.wrapping_add(delta);
    let kind = first & 7;
    if matches!(kind, ONE | SAME) {
        state.value = match first & FORMS {
            AGAIN => state.value,
            WHOLE => (whole(state.value)?).wrapping_add(unzigzag(take_varint(from)?)) as f64,
            TRIMMED => f64::from_bits(state.value.to_bits() ^ take_trimmed(from)?),
            _ => return None,
        };
        let count = if kind == SAME { take_number(from)? } else { 1.0 };
        return Some((state.slot, Bucket::times(state.value, count)));
    }
    let (count, sum, min, max) = (take_number(from)?, take_number(from)?, take_number(from)?, take_number(from)?);
    let spread = match kind {
        UNKNOWN => return Some((state.slot, Bucket::set(count, sum, min, max))),
        FEW => {
            let length = take_varint(from)?;
            let values = (0..length).map(|_| Some((take_number(from)?, take_number(from)?)));
            Spread::Few(values.collect::<Option<_>>()?)
        }
        BINS => {
            let length = take_varint(from).filter(|length| *length <= MOST_BINS as u64)?;
            let mut last = 0i64;
            let bins = (0..length).map(|_| {
                last = last.checked_add(unzigzag(take_varint(from)?))?;
                Some((i32::try_from(last).ok()?, take_number(from)?))
            });
            Spread::Sketch(Sketch::of(bins.collect::<Option<_>>()?)?)
        }
        _ => return None,
    };
    Some((state.slot, Bucket { count, sum, min, max, spread }))
}

/// All buckets of some bytes, up to the first that cannot be read.
pub(super) fn all(bytes: &[u8]) -> impl Iterator<Item = (Slot, Bucket)> + '_ {
    let (mut from, mut state) = (bytes, State::default());
    std::iter::from_fn(move || take(&mut from, &mut state))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>().prop_filter("finite", |value| value.is_finite()),
            (-1000i32..1000).prop_map(f64::from),
            Just(0.1),
        ]
    }

    fn bucket() -> impl Strategy<Value = Bucket> {
        let all = prop::collection::vec((value(), 1u8..5), 1..30);
        prop_oneof![
            4 => value().prop_map(Bucket::of),
            1 => (value(), 1u8..9).prop_map(|(value, count)| Bucket::times(value, f64::from(count))),
            1 => (value(), value(), value()).prop_map(|(sum, a, b)| Bucket::set(2.5, sum, a.min(b), a.max(b))),
            1 => all.prop_map(|all| Bucket::of_all(all.into_iter().map(|(value, count)| (value, f64::from(count)))).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn buckets_come_back_as_they_were(list in prop::collection::vec((any::<i64>(), bucket()), 0..40), steps in any::<bool>()) {
            let list: Vec<_> = list.into_iter().enumerate().map(|(n, (slot, bucket))| (if steps { n as i64 } else { slot }, bucket)).collect();
            let (mut bytes, mut state) = (Vec::new(), State::default());
            list.iter().for_each(|(slot, bucket)| put(&mut bytes, &mut state, *slot, bucket));
            prop_assert_eq!(all(&bytes).collect::<Vec<_>>(), list);
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let read = all(&bytes).count();
            prop_assert!(read <= bytes.len());
        }
    }

    #[test]
    fn what_is_usual_costs_little() {
        let check = |values: &[f64], most: usize| {
            let (mut bytes, mut state) = (Vec::new(), State::default());
            put(&mut bytes, &mut state, 1_700_000_000, &Bucket::of(values[0]));
            let before = bytes.len();
            for (n, value) in values.iter().enumerate().skip(1) {
                put(&mut bytes, &mut state, 1_700_000_000 + n as i64, &Bucket::of(*value));
            }
            let each = (bytes.len() - before) as f64 / (values.len() - 1) as f64;
            assert!(each <= most as f64, "{each} bytes each");
        };
        check(&[3.0; 60], 1);
        check(&(0..60).map(|n| f64::from(1000 + n % 7)).collect::<Vec<_>>(), 2);
        check(&(0..60).map(|n| f64::from(n) * 0.1).collect::<Vec<_>>(), 10);
    }
}
