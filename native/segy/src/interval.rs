//! The sample interval: which of the file's words to believe.

use crate::words::Words;

/// Interval in microseconds from the binary header's words (if any) and the first trace header's word, and which of them it
/// is, with remarks.
///
/// Order: the extended interval of revision 2; the binary header's word; the first trace header's. Words are 16 bits,
/// signed up to revision 1 and unsigned from revision 2 on: one that is negative when signed gives way to a positive one
/// elsewhere, and is read as unsigned only if there is none. Zero everywhere gives 0.
pub fn choose(words: Option<&Words>, trace: u16, findings: &mut Vec<String>) -> (f64, String) {
    let extended = words.map_or(0.0, |words| words.ext_interval);
    if extended.is_finite() && extended > 0.0 && extended < 1e12 {
        return (extended, "the extended sample interval (byte 3273)".to_owned());
    }
    if extended != 0.0 {
        findings.push(format!("extended sample interval {extended:e} at bytes 3273-3280 makes no sense: ignored"));
    }
    let binary = words.map_or(0, |words| words.interval);
    let positive = |word: u16| (1..=i16::MAX as u16).contains(&word);
    let (binary_name, trace_name) = ("the binary header (byte 3217)", "the first trace header (byte 117)");
    if positive(binary) {
        if positive(trace) && trace != binary {
            findings.push(format!(
                "sample interval: {binary} us in {binary_name}, {trace} us in {trace_name}: the binary header is taken"
            ));
        }
        return (f64::from(binary), binary_name.to_owned());
    }
    if positive(trace) {
        if binary != 0 {
            findings.push(format!(
                "sample interval {} in {binary_name} is not positive: {trace} us of {trace_name} is taken",
                binary as i16
            ));
        }
        return (f64::from(trace), trace_name.to_owned());
    }
    let (unsigned, name) = if binary != 0 { (binary, binary_name) } else { (trace, trace_name) };
    findings.push(if unsigned == 0 {
        "sample interval is 0 everywhere: pass interval_us=".to_owned()
    } else {
        format!(
            "sample interval word {} is read as unsigned, {unsigned} us: pass interval_us= if that is wrong",
            unsigned as i16
        )
    });
    (f64::from(unsigned), if unsigned == 0 { "stated nowhere".to_owned() } else { format!("{name}, unsigned") })
}
