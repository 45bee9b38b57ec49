//! `name=value&…` as forms and queries write it, read strictly.

/// Why a form or query cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairsError {
    /// A `%` without two hexadecimal digits, bytes that are no UTF-8, or a NUL.
    #[error("is not form-urlencoded UTF-8")]
    Malformed,
    /// The same name twice.
    #[error("`{0}` is repeated")]
    Repeated(String),
}

/// Decoded names and values, in order.
#[derive(Clone)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Decodes the text of a query or a form body.
    pub fn parse(text: &[u8]) -> Result<Self, PairsError> {
        text.split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty())
            .map(pair)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Refuses a name that comes twice.
    pub fn once(self) -> Result<Self, PairsError> {
        let mut seen = std::collections::HashSet::new();
        for (name, _) in &self.0 {
            if !seen.insert(name.as_str()) {
                return Err(PairsError::Repeated(name.clone()));
            }
        }
        Ok(self)
    }

    /// The only value of `name`.
    ///
    /// # Errors
    /// [`PairsError::Repeated`] where it comes twice.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, PairsError> {
        let mut found = None;
        for (_, value) in self.0.extract_if(.., |(own, _)| own == name) {
            if found.replace(value).is_some() {
                return Err(PairsError::Repeated(name.to_owned()));
            }
        }
        Ok(found)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn into_inner(self) -> Vec<(String, String)> {
        self.0
    }
}

/// Decodes one form-urlencoded name or value.
///
/// # Errors
/// [`PairsError::Malformed`].
pub fn decode_pair_text(text: &[u8]) -> Result<String, PairsError> {
    let mut bytes = text.iter();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(*byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else { return Err(PairsError::Malformed) };
                u8::try_from(high * 16 + low).map_err(|_| PairsError::Malformed)?
            }
            other => *other,
        });
    }
    // PostgreSQL knows no NUL in texts, and nothing here means one.
    let decoded = String::from_utf8(decoded).map_err(|_| PairsError::Malformed)?;
    if decoded.contains('\0') { Err(PairsError::Malformed) } else { Ok(decoded) }
}

fn pair(text: &[u8]) -> Result<(String, String), PairsError> {
    let mut sides = text.splitn(2, |byte| *byte == b'=');
    let name = decode_pair_text(sides.next().unwrap_or_default())?;
    Ok((name, decode_pair_text(sides.next().unwrap_or_default())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let mut pairs = Pairs::parse(b"a=1%2B2&b=x+y&&c&d=%C3%A9").unwrap();
        assert_eq!(pairs.take("a"), Ok(Some("1+2".into())));
        assert_eq!(pairs.take("b"), Ok(Some("x y".into())));
        assert_eq!(pairs.take("c"), Ok(Some(String::new())));
        assert_eq!(pairs.take("d"), Ok(Some("é".into())));
        assert_eq!(pairs.take("e"), Ok(None));
    }

    #[test]
    fn what_is_not_well_encoded_is_refused() {
        for bad in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=%ff", b"%00=1", b"a=\xff"] {
            assert_eq!(Pairs::parse(bad).err(), Some(PairsError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_repeated_name_is_refused_whoever_asks() {
        let pairs = Pairs::parse(b"a=1&b=2&%61=1").unwrap();
        assert_eq!(pairs.clone().take("a"), Err(PairsError::Repeated("a".into())));
        assert_eq!(pairs.clone().once().err(), Some(PairsError::Repeated("a".into())));
        assert_eq!(pairs.clone().take("b"), Ok(Some("2".into())));
    }

    proptest! {
        #[test]
        fn any_text_without_nul_survives(name in "[^\0]+", value in "[^\0]*") {
            let text: String = url::form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            prop_assert_eq!(Pairs::parse(text.as_bytes()).unwrap().into_inner(), vec![(name, value)]);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Pairs::parse(&bytes).map(Pairs::once);
        }
    }
}
