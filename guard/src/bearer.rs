//! Which bearer token does a request carry?
//!
//! Only the `Authorization` header counts (RFC 6750 §2.1); bodies and queries are not looked at.

/// Why the `Authorization` header of a request cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// More than one `Authorization` header: which one another hop looked at nobody knows.
    #[error("the request has several authorization headers")]
    Repeated,
    /// `Bearer` without exactly one token of the alphabet of RFC 6750 §2.1.
    #[error("the authorization header does not hold exactly one bearer token")]
    Malformed,
}

/// The bearer token among the values of all `Authorization` headers of a request.
///
/// None where there is no header or it is of another scheme: both ask for a challenge without an error code
/// (RFC 6750 §3.1). The scheme is compared without case.
///
/// ```
/// use jeton_guard::{HeaderError, bearer};
///
/// assert_eq!(bearer([b"bearer abc.def.ghi".as_slice()]), Ok(Some("abc.def.ghi")));
/// assert_eq!(bearer([b"Basic dTpw".as_slice()]), Ok(None));
/// assert_eq!(bearer([b"Bearer a, Bearer b".as_slice()]), Err(HeaderError::Malformed));
/// ```
///
/// # Errors
/// Where there are several headers, whatever they hold, or one of the scheme without exactly one token.
pub fn bearer<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<&'a str>, HeaderError> {
    let mut values = values.into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(HeaderError::Repeated);
    }
    let (scheme, rest) = split(value);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let token = rest.trim_ascii_start();
    if token.len() == rest.len() || !is_b64token(token) {
        return Err(HeaderError::Malformed);
    }
    std::str::from_utf8(token).map(Some).map_err(|_| HeaderError::Malformed)
}

/// The scheme, and what follows with the white space before it.
fn split(value: &[u8]) -> (&[u8], &[u8]) {
    let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    value.split_at_checked(end).unwrap_or((value, &[]))
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
pub(crate) fn is_b64token(token: &[u8]) -> bool {
    let end = token.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last.saturating_add(1));
    let body = token.get(..end).unwrap_or_default();
    !body.is_empty() && body.iter().copied().all(is_b64token_char)
}

/// One test of a range and a bit for each byte: a token has a thousand of them.
const fn is_b64token_char(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain(b"Bearer abc", Ok(Some("abc")))]
    #[case::lower_case(b"bearer abc", Ok(Some("abc")))]
    #[case::upper_case(b"BEARER abc", Ok(Some("abc")))]
    #[case::whole_alphabet(b"Bearer aZ09-._~+/==", Ok(Some("aZ09-._~+/==")))]
    #[case::several_spaces(b"Bearer   abc", Ok(Some("abc")))]
    #[case::other_scheme(b"Basic abc", Ok(None))]
    #[case::longer_scheme(b"Bearers abc", Ok(None))]
    #[case::empty(b"", Ok(None))]
    #[case::no_token(b"Bearer", Err(HeaderError::Malformed))]
    #[case::only_space(b"Bearer ", Err(HeaderError::Malformed))]
    #[case::two_tokens(b"Bearer abc def", Err(HeaderError::Malformed))]
    #[case::list(b"Bearer abc,def", Err(HeaderError::Malformed))]
    #[case::trailing_space(b"Bearer abc ", Err(HeaderError::Malformed))]
    #[case::only_padding(b"Bearer ==", Err(HeaderError::Malformed))]
    #[case::padding_inside(b"Bearer a=b", Err(HeaderError::Malformed))]
    #[case::quoted(b"Bearer \"abc\"", Err(HeaderError::Malformed))]
    #[case::not_ascii("Bearer abç".as_bytes(), Err(HeaderError::Malformed))]
    fn one_header_is_read_as_rfc_6750_says(
        #[case] value: &[u8],
        #[case] expected: Result<Option<&str>, HeaderError>,
    ) {
        assert_eq!(bearer([value]), expected);
    }

    #[test]
    fn a_second_header_is_refused_even_when_it_is_the_same() {
        assert_eq!(bearer([b"Bearer abc".as_slice(), b"Bearer abc"]), Err(HeaderError::Repeated));
        assert_eq!(bearer([b"Basic abc".as_slice(), b"Bearer abc"]), Err(HeaderError::Repeated));
    }

    #[test]
    fn no_header_is_no_token() {
        assert_eq!(bearer([]), Ok(None));
    }
}
