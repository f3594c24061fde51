//! Integers as text, into a buffer that is there already: one is written with every request and several with every row.

/// Appends the number in decimal digits; allocates only if the buffer has to grow.
pub fn write_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_of_number_is_written_whole() {
        let powers = (0..20u32).map(|digits| 10u64.pow(digits));
        for number in powers.flat_map(|power| [power - 1, power]).chain([u64::MAX]) {
            let mut out = b"x".to_vec();
            write_decimal(&mut out, number);
            assert_eq!(out, format!("x{number}").into_bytes());
        }
    }
}
